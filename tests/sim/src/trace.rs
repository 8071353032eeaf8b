//! What was done, as a digest, and line by line where somebody wants to read it.

/// FNV-1a, 64 bits: its offset basis and prime (draft-eastlake-fnv).
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A record of everything that was done.
#[derive(Debug, Clone)]
pub struct Trace {
    digest: u64,
    lines: Option<Vec<String>>,
    digesting: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self { digest: BASIS, lines: None, digesting: false }
    }
}

impl Trace {
    /// Keeps the digest from now on; without it a line costs nothing.
    pub fn digest_lines(&mut self) {
        self.digesting = true;
    }

    /// Keeps the lines from now on.
    pub fn keep_lines(&mut self) {
        self.lines.get_or_insert_default();
        self.digesting = true;
    }

    /// Enters a line.
    pub fn line(&mut self, line: impl FnOnce() -> String) {
        if !self.digesting {
            return;
        }
        let line = line();
        for byte in line.bytes().chain([b'\n']) {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    /// Stands for all lines.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The lines, where they are kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
