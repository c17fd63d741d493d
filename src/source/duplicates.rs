//! Finding inputs that hold the same text: hard links, copies, a rotated file and its archive.
//!
//! Invariant: an input is called a duplicate only when it is the same file as an earlier input, or
//! when the SHA-256 of both texts, read to the end without an error, is equal. Everything before
//! that only saves work: files of other lengths, or with another beginning, are not read whole.
//!
//! Short files are not compared: two idle hosts may well write the same few lines.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;
use sha2::{Digest as _, Sha256};

use super::{Archive, ArchiveError, Compression, Input, InputKind, Limits};

/// Decompressed bytes at the beginning of a text that are compared first.
const HEAD_LEN: usize = 64 * 1024;

/// Decompressed bytes hashed at a time.
const CHUNK_LEN: usize = 256 * 1024;

/// For each input the earlier one with the same text, as an index into `inputs`; that one is never
/// a duplicate itself. Standard input takes no part, and neither does what cannot be read to its
/// end: its error shows when it is replayed.
pub fn duplicates(inputs: &[Input], limits: Limits) -> Vec<Option<usize>> {
    let mut earlier = same_files(inputs);
    if inputs.len() < 2 {
        return earlier;
    }
    let heads = heads(inputs, &earlier, limits);
    for group in groups(&heads) {
        compare(inputs, &group, limits, &mut earlier);
    }
    // An equal text may have been found for a file that other names lead to.
    let texts = earlier.clone();
    let original = |index: usize| texts.get(index).copied().flatten().unwrap_or(index);
    earlier.iter().map(|first| first.map(original)).collect()
}

/// The earlier input with the same inode, and so the same text without looking.
fn same_files(inputs: &[Input]) -> Vec<Option<usize>> {
    let mut first = HashMap::new();
    let earlier = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| match input.kind {
            InputKind::Stdin => None,
            InputKind::File => {
                let original = *first.entry((input.dev, input.inode)).or_insert(index);
                (original != index).then_some(original)
            }
        });
    earlier.collect()
}

/// The beginning of one text.
struct Head {
    input: usize,
    compression: Compression,
    /// Not cryptographic: two texts that collide are only read in vain.
    hash: u64,
}

fn heads(inputs: &[Input], earlier: &[Option<usize>], limits: Limits) -> Vec<Head> {
    let mut buffer = vec![0; HEAD_LEN];
    let mut heads = Vec::new();
    for (index, (input, earlier)) in inputs.iter().zip(earlier).enumerate() {
        if input.kind == InputKind::Stdin || earlier.is_some() {
            continue;
        }
        if let Some((compression, hash)) = head(input, limits, &mut buffer) {
            heads.push(Head {
                input: index,
                compression,
                hash,
            });
        }
    }
    heads
}

/// `None` for a text shorter than a head, and for one that cannot be read so far.
fn head(input: &Input, limits: Limits, buffer: &mut [u8]) -> Option<(Compression, u64)> {
    let mut archive = Archive::open(&input.path, limits).ok()?;
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match archive.read(room) {
            Ok(0) | Err(_) => return None,
            Ok(got) => filled += got,
        }
    }
    Some((
        archive.compression(),
        FixedState::default().hash_one(&*buffer),
    ))
}

/// The heads that more than one text begins with, each group in input order.
fn groups(heads: &[Head]) -> Vec<Vec<&Head>> {
    let mut by_hash: HashMap<u64, Vec<&Head>> = HashMap::new();
    for head in heads {
        by_hash.entry(head.hash).or_default().push(head);
    }
    by_hash
        .into_values()
        .filter(|group| group.len() > 1)
        .collect()
}

/// Reads whole what may be equal. The length of an archive's text is known only after reading it,
/// so archives come first; a plain file is read only if some text has its length.
fn compare(inputs: &[Input], group: &[&Head], limits: Limits, earlier: &mut [Option<usize>]) {
    let (plain, packed): (Vec<&Head>, Vec<&Head>) = group
        .iter()
        .copied()
        .partition(|head| head.compression == Compression::Plain);
    let size = |head: &Head| inputs.get(head.input).map_or(0, |input| input.size);
    let mut texts: Vec<(usize, Text)> = Vec::new();
    texts.extend(packed.iter().filter_map(|head| whole(inputs, head, limits)));
    let mut lengths: HashSet<u64> = texts.iter().map(|(_, text)| text.length).collect();
    let mut seen = HashSet::new();
    lengths.extend(
        plain
            .iter()
            .map(|head| size(head))
            .filter(|size| !seen.insert(*size)),
    );
    let worth = plain.iter().filter(|head| lengths.contains(&size(head)));
    texts.extend(worth.filter_map(|head| whole(inputs, head, limits)));
    texts.sort_unstable_by_key(|(input, _)| *input);
    mark(&texts, earlier);
}

/// Points each text at the first that equals it; `texts` are in input order.
fn mark(texts: &[(usize, Text)], earlier: &mut [Option<usize>]) {
    let mut first: HashMap<&Text, usize> = HashMap::new();
    for (input, text) in texts {
        let original = *first.entry(text).or_insert(*input);
        if let Some(slot) = earlier.get_mut(*input).filter(|_| original != *input) {
            *slot = Some(original);
        }
    }
}

/// What identifies a text.
#[derive(PartialEq, Eq, Hash)]
struct Text {
    length: u64,
    sha256: [u8; 32],
}

fn whole(inputs: &[Input], head: &Head, limits: Limits) -> Option<(usize, Text)> {
    let input = inputs.get(head.input)?;
    Some((head.input, text(input, limits).ok()?))
}

fn text(input: &Input, limits: Limits) -> Result<Text, ArchiveError> {
    let mut archive = Archive::open(&input.path, limits)?;
    let mut chunk = vec![0; CHUNK_LEN];
    let (mut sha256, mut length) = (Sha256::new(), 0);
    loop {
        let got = archive.read(&mut chunk)?;
        if got == 0 {
            return Ok(Text {
                length,
                sha256: sha256.finalize().into(),
            });
        }
        sha256.update(chunk.get(..got).unwrap_or_default());
        length += u64::try_from(got).unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;

    use proptest::prelude::*;

    use super::super::expand;
    use super::super::samples::{PACKED, log, noise, pack};
    use super::*;

    /// Writes the contents to files in this order and compares them.
    fn of(contents: &[Vec<u8>]) -> Vec<Option<usize>> {
        let folder = tempfile::tempdir().unwrap();
        for (number, content) in contents.iter().enumerate() {
            fs::write(folder.path().join(format!("{number:03}")), content).unwrap();
        }
        duplicates(&expand(&[folder.path().into()]).unwrap(), Limits::default())
    }

    #[test]
    fn archive_of_a_rotated_file_is_its_duplicate() {
        let text = log(3000);
        let mut contents = vec![log(3001), text.clone()];
        contents.extend(PACKED.map(|compression| pack(compression, &text)));
        let first = Some(1);
        assert_eq!(of(&contents), [None, None, first, first, first, first]);
        contents.reverse();
        let first = Some(0);
        assert_eq!(of(&contents), [None, first, first, first, first, None]);
    }

    #[test]
    fn texts_that_differ_in_their_last_byte_are_none() {
        let (one, mut two) = (log(3000), log(3000));
        *two.last_mut().unwrap() = b' ';
        let packed = pack(Compression::Gzip, &two);
        assert_eq!(of(&[one, two, packed]), [None, None, Some(1)]);
    }

    #[test]
    fn texts_shorter_than_a_head_are_not_compared() {
        let at = |len| vec![b'x'; len];
        let short = HEAD_LEN - 1;
        assert_eq!(
            of(&[at(short), at(short), at(HEAD_LEN), at(HEAD_LEN)]),
            [None, None, None, Some(2)]
        );
    }

    #[test]
    fn cut_archive_is_no_duplicate() {
        let packed = pack(Compression::Gzip, &noise(200_000));
        let cut = packed[..packed.len() - 1].to_vec();
        assert_eq!(
            of(&[cut.clone(), cut, packed.clone(), packed]),
            [None, None, None, Some(2)]
        );
    }

    #[test]
    fn same_inode_is_a_duplicate_however_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| OsString::from(folder.path().join(name));
        fs::write(path("a"), b"one line\n").unwrap();
        fs::write(path("b"), b"one line\n").unwrap();
        fs::hard_link(path("a"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("b"), path("symlink")).unwrap();
        let names = ["a", "b", "link", "symlink", "a"].map(path);
        let found = duplicates(&expand(&names).unwrap(), Limits::default());
        assert_eq!(found, [None, None, Some(0), Some(1), Some(0)]);
    }

    #[test]
    fn link_to_a_copy_is_a_duplicate_of_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| OsString::from(folder.path().join(name));
        fs::write(path("a"), log(3000)).unwrap();
        fs::write(path("copy"), log(3000)).unwrap();
        fs::hard_link(path("copy"), path("link")).unwrap();
        let names = ["a", "copy", "link"].map(path);
        let found = duplicates(&expand(&names).unwrap(), Limits::default());
        assert_eq!(found, [None, Some(0), Some(0)]);
    }

    #[test]
    fn standard_input_and_a_vanished_file_take_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| OsString::from(folder.path().join(name));
        fs::write(path("a"), log(3000)).unwrap();
        fs::write(path("b"), log(3000)).unwrap();
        let inputs = expand(&[OsString::from("-"), path("a"), path("b")]).unwrap();
        fs::remove_file(path("a")).unwrap();
        assert_eq!(duplicates(&inputs, Limits::default()), [None, None, None]);
    }

    #[test]
    fn no_input_has_no_duplicate() {
        assert!(duplicates(&[], Limits::default()).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn duplicates_are_the_texts_that_compare_equal(
            files in prop::collection::vec((0..3usize, 0..3usize, 0..5usize), 0..8),
        ) {
            let head = |n: usize| vec![b'a' + u8::try_from(n).unwrap(); HEAD_LEN];
            let texts: Vec<_> =
                files.iter().map(|(n, rest, _)| [head(*n), log(*rest)].concat()).collect();
            let all = [Compression::Plain, PACKED[0], PACKED[1], PACKED[2], PACKED[3]];
            let contents: Vec<_> =
                texts.iter().zip(&files).map(|(text, (_, _, n))| pack(all[*n], text)).collect();
            let expected: Vec<_> = texts
                .iter()
                .enumerate()
                .map(|(index, text)| texts[..index].iter().position(|earlier| earlier == text))
                .collect();
            prop_assume!(!files.is_empty());
            prop_assert_eq!(of(&contents), expected);
        }
    }
}
