//! Where counts wait for the end: in memory while they are few, in a temporary folder when not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, Write};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::metrics::Table;

/// The runs of all workers.
#[derive(Debug, Default)]
pub(in crate::commands) struct Runs {
    runs: Mutex<Vec<Run>>,
    folder: Mutex<Option<TempDir>>,
}

#[derive(Debug)]
enum Run {
    Memory(Vec<u8>),
    Spilled(std::path::PathBuf),
}

impl Runs {
    /// Empties a table into a file of the temporary folder, which is made on first use and goes
    /// with this value.
    pub(super) fn spill(&self, table: &mut Table) -> io::Result<()> {
        self.spill_with(|out| table.write_run(out))
    }

    /// Writes one run into the temporary folder.
    pub(super) fn spill_with(
        &self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let path = {
            let mut folder = self
                .folder
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if folder.is_none() {
                *folder = Some(tempfile::Builder::new().prefix("beacontail-").tempdir()?);
            }
            let runs = self.lock();
            let folder = folder
                .as_ref()
                .ok_or_else(|| io::Error::other("no temporary folder"))?;
            let path = folder.path().join(format!("run-{}", runs.len()));
            drop(runs);
            self.lock().push(Run::Spilled(path.clone()));
            path
        };
        let mut out = BufWriter::with_capacity(1 << 16, File::create(path)?);
        write(&mut out)?;
        out.flush()
    }

    /// Empties a table into memory.
    pub(in crate::commands) fn keep(&self, table: &mut Table) -> io::Result<()> {
        let mut run = Vec::new();
        table.write_run(&mut run)?;
        if !run.is_empty() {
            self.lock().push(Run::Memory(run));
        }
        Ok(())
    }

    /// Opens every run from its start.
    pub(in crate::commands) fn open(&self) -> io::Result<Vec<Box<dyn BufRead>>> {
        let runs = self.lock();
        runs.iter()
            .map(|run| -> io::Result<Box<dyn BufRead>> {
                Ok(match run {
                    Run::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
                    Run::Spilled(path) => {
                        Box::new(BufReader::with_capacity(1 << 14, File::open(path)?))
                    }
                })
            })
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Run>> {
        self.runs
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
