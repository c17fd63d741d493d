//! From command line arguments to a list of inputs.
//!
//! Invariant: inputs stand in the order of the arguments, and within a folder or a pattern in the
//! order of their paths, so that the same arguments give the same result on any file system. All
//! mistakes are reported, not only the first.
//!
//! Patterns are matched by the `glob` crate, but folders are walked here: its walk panics on file
//! names that are not UTF-8 when hidden files are to be skipped, and follows symbolic links below
//! `**` in circles. Only regular files are taken; nothing is opened that could block.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use glob::{Pattern, PatternError};

use super::{Shown, noun};

/// Something to read lines from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// As shown to people, and as opened; `-` for standard input.
    pub path: PathBuf,
    /// Whether the path is to be opened.
    pub kind: InputKind,
    /// Bytes of the file when it was found; 0 for standard input.
    pub size: u64,
    /// The file system's number; 0 for standard input.
    pub dev: u64,
    /// The file's number in its file system; 0 for standard input.
    pub inode: u64,
}

/// How an input is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// By its path.
    File,
    /// It is open already, and can be read once.
    Stdin,
}

/// Why an argument, or something it leads to, is no input.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Nothing is there.
    #[error("{}: no such file or folder", Shown(path))]
    Missing {
        /// The argument.
        path: PathBuf,
    },
    /// The pattern is well formed and nothing fits it.
    #[error("`{}`: no file matches this pattern", Shown(Path::new(pattern)))]
    NoMatch {
        /// The argument.
        pattern: String,
    },
    /// The pattern cannot be understood.
    #[error("`{}`: not a valid pattern", Shown(Path::new(pattern)))]
    Pattern {
        /// The argument.
        pattern: String,
        /// What is wrong with it.
        source: PatternError,
    },
    /// It is there and may not be read.
    #[error("{}: cannot be read", Shown(path))]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pipe, socket or device: its end may never come, and it cannot be read twice.
    #[error(
        "{}: is a {kind}, not a regular file; `-` reads a pipe from standard input",
        Shown(path)
    )]
    NotRegular {
        /// The argument, or what its pattern found.
        path: PathBuf,
        /// The noun for what is there.
        kind: &'static str,
    },
    /// A folder without a file that is not hidden.
    #[error("{}: no file in this folder", Shown(path))]
    EmptyFolder {
        /// The argument.
        path: PathBuf,
    },
    /// `-` can be read once only.
    #[error("`-`: standard input is named more than once")]
    StdinTwice,
}

/// The inputs that the arguments mean: files, folders (recursively, without hidden files, without
/// following links to folders), patterns, and `-` for standard input. A path that exists is never
/// taken for a pattern.
pub fn expand(arguments: &[OsString]) -> Result<Vec<Input>, Vec<InputError>> {
    let mut found = Found::default();
    for argument in arguments {
        if argument == "-" {
            found.add_stdin();
        } else {
            found.add_argument(Path::new(argument));
        }
    }
    if found.errors.is_empty() {
        Ok(found.inputs)
    } else {
        Err(found.errors)
    }
}

#[derive(Default)]
struct Found {
    inputs: Vec<Input>,
    errors: Vec<InputError>,
}

impl Found {
    fn add_stdin(&mut self) {
        if self
            .inputs
            .iter()
            .any(|input| input.kind == InputKind::Stdin)
        {
            self.errors.push(InputError::StdinTwice);
            return;
        }
        let path = PathBuf::from("-");
        self.inputs.push(Input {
            path,
            kind: InputKind::Stdin,
            size: 0,
            dev: 0,
            inode: 0,
        });
    }

    fn add_argument(&mut self, path: &Path) {
        match (fs::metadata(path), path.to_str()) {
            (Ok(meta), _) if meta.is_dir() => self.add_folder(path),
            (Ok(meta), _) => self.add_file(path, &meta),
            // A broken link exists, though nothing is behind it.
            (Err(_), Some(text)) if has_wildcard(text) && fs::symlink_metadata(path).is_err() => {
                self.add_pattern(text);
            }
            (Err(error), _) => self.errors.push(failed(path, error)),
        }
    }

    fn add_file(&mut self, path: &Path, meta: &Metadata) {
        if !meta.is_file() {
            let kind = noun(meta.file_type());
            self.errors.push(InputError::NotRegular {
                path: path.to_path_buf(),
                kind,
            });
            return;
        }
        // Opening is the only reliable question for permission.
        if let Err(error) = File::open(path) {
            self.errors.push(failed(path, error));
            return;
        }
        self.inputs.push(Input {
            path: path.to_path_buf(),
            kind: InputKind::File,
            size: meta.len(),
            dev: meta.dev(),
            inode: meta.ino(),
        });
    }

    fn add_folder(&mut self, path: &Path) {
        let (inputs, errors) = (self.inputs.len(), self.errors.len());
        for file in self.files_below(path) {
            self.add_found(&file);
        }
        if (inputs, errors) == (self.inputs.len(), self.errors.len()) {
            self.errors.push(InputError::EmptyFolder {
                path: path.to_path_buf(),
            });
        }
    }

    fn add_pattern(&mut self, pattern: &str) {
        let (inputs, errors) = (self.inputs.len(), self.errors.len());
        let mut files = match self.matches(pattern) {
            Ok(paths) => self.files_of(paths),
            Err(source) => {
                let pattern = pattern.to_owned();
                return self.errors.push(InputError::Pattern { pattern, source });
            }
        };
        files.sort_unstable();
        // `logs/**` finds a folder and the folders in it.
        files.dedup();
        for file in files {
            self.add_found(&file);
        }
        if (inputs, errors) == (self.inputs.len(), self.errors.len()) {
            self.errors.push(InputError::NoMatch {
                pattern: pattern.to_owned(),
            });
        }
    }

    fn add_found(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(meta) => self.add_file(path, &meta),
            Err(error) => self.errors.push(failed(path, error)),
        }
    }

    /// What a pattern found, with the files of its folders: as if a shell had expanded it.
    fn files_of(&mut self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(self.files_below(&path));
            } else {
                files.push(path);
            }
        }
        files
    }

    /// All regular files in a folder and its subfolders, sorted, also by a link; nothing hidden,
    /// and other kinds are passed over: nobody named them.
    fn files_below(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in self.folders_below(folder) {
            let entries = self
                .entries(&folder)
                .into_iter()
                .filter(|path| !is_hidden(path));
            files.extend(entries.filter(|path| path.is_file()));
        }
        files.sort_unstable();
        files
    }

    /// The folder itself and all below it that are not hidden and no links, which could go round
    /// in circles.
    fn folders_below(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut folders = vec![folder.to_path_buf()];
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned() {
            let entries = self
                .entries(&folder)
                .into_iter()
                .filter(|path| !is_hidden(path));
            folders.extend(entries.filter(|path| path.is_dir() && !path.is_symlink()));
            next += 1;
        }
        folders
    }

    /// The paths that fit a pattern, found one component after the other.
    fn matches(&mut self, pattern: &str) -> Result<Vec<PathBuf>, PatternError> {
        // The whole first, so that the position in an error fits what the user typed.
        Pattern::new(pattern)?;
        let mut level = vec![PathBuf::new()];
        for component in Path::new(pattern).components() {
            level = match component {
                Component::Normal(name) if name == "**" => self.all_below(&level),
                Component::Normal(name) if name.to_str().is_some_and(has_wildcard) => {
                    self.matching(&level, &name.to_string_lossy())?
                }
                other => level.iter().map(|base| base.join(other)).collect(),
            };
        }
        level.retain(|path| fs::symlink_metadata(path).is_ok());
        Ok(level)
    }

    fn all_below(&mut self, level: &[PathBuf]) -> Vec<PathBuf> {
        let folders = level.iter().filter(|base| as_folder(base).is_dir());
        let mut below: Vec<_> = folders.flat_map(|base| self.folders_below(base)).collect();
        below.sort_unstable();
        below.dedup();
        below
    }

    fn matching(&mut self, level: &[PathBuf], name: &str) -> Result<Vec<PathBuf>, PatternError> {
        let pattern = Pattern::new(name)?;
        let fits = |path: &PathBuf| {
            let own = path.file_name().unwrap_or_default().to_string_lossy();
            (name.starts_with('.') || !is_hidden(path)) && pattern.matches(&own)
        };
        let folders = level.iter().filter(|base| as_folder(base).is_dir());
        Ok(folders
            .flat_map(|base| self.entries(base))
            .filter(fits)
            .collect())
    }

    /// The paths in a folder, unsorted; those that could not be listed are reported.
    fn entries(&mut self, folder: &Path) -> Vec<PathBuf> {
        let listed = fs::read_dir(as_folder(folder)).and_then(|entries| {
            entries
                .map(|entry| Ok(folder.join(entry?.file_name())))
                .collect()
        });
        listed.unwrap_or_else(|error| {
            self.errors.push(failed(folder, error));
            Vec::new()
        })
    }
}

/// The path of a relative pattern's first folder is empty.
fn as_folder(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn failed(path: &Path, source: io::Error) -> InputError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::NotFound => InputError::Missing { path },
        _ => InputError::Unreadable { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A folder with empty files at the paths given.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        folder
    }

    fn arguments(folder: &Path, arguments: &[&str]) -> Vec<OsString> {
        let absolute = |argument: &&str| match *argument {
            "-" => OsString::from("-"),
            "" => folder.into(),
            argument => folder.join(argument).into(),
        };
        arguments.iter().map(absolute).collect()
    }

    /// The paths found, relative to the folder.
    fn found(folder: &Path, given: &[&str]) -> Vec<String> {
        let inputs = expand(&arguments(folder, given)).unwrap();
        let relative = |input: &Input| {
            let path = input.path.strip_prefix(folder).unwrap_or(&input.path);
            path.to_string_lossy().into_owned()
        };
        inputs.iter().map(relative).collect()
    }

    fn errors(folder: &Path, given: &[&str]) -> Vec<InputError> {
        expand(&arguments(folder, given)).unwrap_err()
    }

    #[test]
    fn arguments_keep_their_order() {
        let folder = folder(&["b", "a"]);
        assert_eq!(
            found(folder.path(), &["b", "-", "a", "b"]),
            ["b", "-", "a", "b"]
        );
    }

    #[test]
    fn folder_gives_its_files_sorted_without_hidden_ones() {
        let folder = folder(&["z.gz", "a/2", "a/1", "a.log", ".hidden", ".git/x", "a/.x"]);
        assert_eq!(found(folder.path(), &[""]), ["a/1", "a/2", "a.log", "z.gz"]);
    }

    #[test]
    fn links_to_files_are_taken_and_links_to_folders_not_followed() {
        let folder = folder(&["a/1"]);
        symlink("1", folder.path().join("a/link")).unwrap();
        symlink(".", folder.path().join("a/loop")).unwrap();
        symlink("nowhere", folder.path().join("a/broken")).unwrap();
        assert_eq!(found(folder.path(), &[""]), ["a/1", "a/link"]);
        assert_eq!(found(folder.path(), &["**/1"]), ["a/1"]);
        assert_eq!(
            found(folder.path(), &["a/loop"]),
            ["a/loop/1", "a/loop/link"]
        );
    }

    #[test]
    fn pattern_gives_sorted_paths_as_a_shell_would() {
        let folder = folder(&[
            "www/b.log",
            "www/a.log",
            "www/.c.log",
            "db/d.log",
            "www/e.gz",
        ]);
        assert_eq!(
            found(folder.path(), &["*/*.log"]),
            ["db/d.log", "www/a.log", "www/b.log"]
        );
        assert_eq!(found(folder.path(), &["www/.*.log"]), ["www/.c.log"]);
        assert_eq!(found(folder.path(), &["w[vw]w/?.gz"]), ["www/e.gz"]);
        assert_eq!(
            found(folder.path(), &["w*"]),
            ["www/a.log", "www/b.log", "www/e.gz"]
        );
    }

    #[test]
    fn two_stars_reach_any_depth_and_give_each_file_once() {
        let folder = folder(&["a.log", "x/b.log", "x/y/c.log", "x/.y/d.log"]);
        let all = ["a.log", "x/b.log", "x/y/c.log"];
        assert_eq!(found(folder.path(), &["**/*.log"]), all);
        assert_eq!(found(folder.path(), &["**"]), all);
        assert_eq!(found(folder.path(), &["x/**/y/**/*"]), ["x/y/c.log"]);
    }

    #[test]
    fn existing_path_wins_over_its_meaning_as_a_pattern() {
        let folder = folder(&["log[1]", "log1"]);
        assert_eq!(found(folder.path(), &["log[1]"]), ["log[1]"]);
        fs::remove_file(folder.path().join("log[1]")).unwrap();
        assert_eq!(found(folder.path(), &["log[1]"]), ["log1"]);
    }

    #[test]
    fn names_that_are_not_utf_8_are_found() {
        let folder = folder(&[]);
        let path = folder.path().join(OsStr::from_bytes(b"caf\xe9.log"));
        fs::write(&path, b"x\n").unwrap();
        for given in ["", "*.log", "**/*.log"] {
            let inputs = expand(&arguments(folder.path(), &[given])).unwrap();
            assert_eq!(
                inputs.iter().map(|input| &input.path).collect::<Vec<_>>(),
                [&path]
            );
        }
    }

    #[test]
    fn size_and_identity_are_of_the_file() {
        let folder = folder(&["a"]);
        fs::write(folder.path().join("a"), b"12345").unwrap();
        fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
        let inputs = expand(&arguments(folder.path(), &["a", "b"])).unwrap();
        assert_eq!((inputs[0].size, inputs[0].kind), (5, InputKind::File));
        assert_eq!(
            (inputs[0].dev, inputs[0].inode),
            (inputs[1].dev, inputs[1].inode)
        );
    }

    #[test]
    fn all_mistakes_are_reported() {
        let folder = folder(&["ok", ".only-hidden"]);
        let _listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        let given = [
            "none", "ok", "*.gz", "socket", "empty", "a**", "-", "-", "ok/x",
        ];
        let errors = errors(folder.path(), &given);
        assert!(
            matches!(
                errors.as_slice(),
                [
                    InputError::Missing { .. },
                    InputError::NoMatch { .. },
                    InputError::NotRegular { kind: "socket", .. },
                    InputError::EmptyFolder { .. },
                    InputError::Pattern { .. },
                    InputError::StdinTwice,
                    InputError::Unreadable { .. },
                ]
            ),
            "{errors:#?}"
        );
        assert!(errors[4].source().is_some());
    }

    #[test]
    fn socket_that_a_pattern_names_is_refused_and_one_in_a_folder_passed_over() {
        let folder = folder(&["a.log"]);
        let _listener = UnixListener::bind(folder.path().join("b.sock")).unwrap();
        assert_eq!(found(folder.path(), &[""]), ["a.log"]);
        let errors = errors(folder.path(), &["*"]);
        assert!(matches!(errors.as_slice(), [InputError::NotRegular { .. }]));
    }

    #[test]
    fn device_is_refused_with_the_way_to_read_a_pipe() {
        let error = expand(&[OsString::from("/dev/null")])
            .unwrap_err()
            .remove(0);
        let text =
            "/dev/null: is a device, not a regular file; `-` reads a pipe from standard input";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn no_argument_is_no_input() {
        assert!(expand(&[]).unwrap().is_empty());
    }
}
