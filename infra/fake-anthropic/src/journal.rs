//! The journal: one JSON object a line, appended, replayed at open.
//!
//! A line is written with one `write` to a file opened for appending, before the answer it belongs to leaves. The data
//! is in the kernel's hands then, so killing the process loses nothing; a power failure may (nothing is synced).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// File name inside the state directory.
const FILE: &str = "fake-anthropic.jsonl";

/// An open journal, or none for a fake that keeps everything in memory.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Journal {
    /// A journal that forgets.
    pub(crate) fn none() -> Self {
        Self { file: None }
    }

    /// Opens or creates the journal in `dir` and hands every line of it to `replay`, oldest first.
    ///
    /// # Crash safety
    /// A last line without its newline is a write that `kill -9` tore: its call was never answered, and it is cut off.
    pub(crate) fn open<T: DeserializeOwned>(dir: &Path, mut replay: impl FnMut(T)) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let path = dir.join(FILE);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .with_context(|| format!("failed to open {}", path.display()))?;
        let mut reader = BufReader::new(&file);
        let (mut line, mut len, mut number) = (Vec::new(), 0, 0_u64);
        loop {
            line.clear();
            let read =
                reader.read_until(b'\n', &mut line).with_context(|| format!("failed to read {}", path.display()))?;
            if line.pop() != Some(b'\n') {
                break;
            }
            len += read as u64;
            number += 1;
            let record = serde_json::from_slice(&line)
                .with_context(|| format!("line {number} of {} is not a journal record", path.display()))?;
            replay(record);
        }
        file.set_len(len).with_context(|| format!("failed to cut the torn end off {}", path.display()))?;
        Ok(Self { file: Some(Open { file, path, len }) })
    }

    /// Appends one record.
    ///
    /// # Errors
    /// When the write fails; whatever part of the line was written is taken back, so that later lines stay readable.
    pub(crate) fn append<T: Serialize>(&mut self, record: &T) -> io::Result<()> {
        let Some(open) = &mut self.file else { return Ok(()) };
        let mut line = serde_json::to_vec(record).map_err(io::Error::other)?;
        line.push(b'\n');
        if let Err(error) = open.file.write_all(&line) {
            open.file.set_len(open.len)?;
            tracing::error!(path = %open.path.display(), %error, "a line of the fake's journal could not be written");
            return Err(error);
        }
        open.len += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(dir: &Path) -> anyhow::Result<(Vec<u32>, Journal)> {
        let mut seen = Vec::new();
        let journal = Journal::open(dir, |number: u32| seen.push(number))?;
        Ok((seen, journal))
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_later_lines_are_readable() {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut journal) = replay(dir.path()).unwrap();
        journal.append(&1_u32).unwrap();
        journal.append(&2_u32).unwrap();
        drop(journal);
        let path = dir.path().join(FILE);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"torn\":").unwrap();
        let (seen, mut journal) = replay(dir.path()).unwrap();
        assert_eq!(seen, [1, 2]);
        journal.append(&3_u32).unwrap();
        assert_eq!(replay(dir.path()).unwrap().0, [1, 2, 3]);
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "1\nnonsense\n3\n").unwrap();
        let error = replay(dir.path()).unwrap_err();
        assert!(format!("{error:#}").contains("line 2"), "{error:#}");
    }
}
