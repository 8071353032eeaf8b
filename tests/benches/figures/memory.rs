//! What the idle stack keeps in memory.

use crate::table::{Table, ratio};

/// Readings by name.
#[derive(Debug, Default)]
pub(crate) struct Memory(Vec<(String, Option<u64>)>);

impl Memory {
    /// Reads the resident memory of process `pid` now.
    pub(crate) fn read(&mut self, name: impl Into<String>, pid: u32) {
        self.0.push((name.into(), resident_kib(pid)));
    }

    /// Prints the readings.
    pub(crate) fn print(&self) {
        let mut table = Table::new("Memory of nightshift-local, resident", &["", "MiB", "to its start"]);
        let first = self.0.first().and_then(|(_, kib)| *kib);
        for (name, kib) in &self.0 {
            let (Some(kib), Some(first)) = (kib, first) else {
                table.row(vec![name.clone(), "not told by this system".to_owned()]);
                continue;
            };
            table.row(vec![name.clone(), mebibytes(*kib), ratio(float(*kib), float(first))]);
        }
        table.print();
    }
}

fn mebibytes(kib: u64) -> String {
    format!("{:.1}", float(kib) / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "no process has 2^53 KiB")]
fn float(kib: u64) -> f64 {
    kib as f64
}

/// `VmRSS` of Linux (`proc_pid_status(5)`); other systems have no such file.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
