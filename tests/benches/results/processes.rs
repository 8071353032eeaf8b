//! Our own child processes, as `/proc` shows them.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::ensure;

/// The children that were seen.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    /// The most memory each had, in KiB (`VmHWM`).
    pub(crate) peaks: BTreeMap<u32, u64>,
}

impl Processes {
    /// The children that run `program` now.
    pub(crate) fn look(&mut self, program: &str) -> Vec<u32> {
        let us = std::process::id().to_string();
        let mut running = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let field = |name: &str| {
                let line = status.lines().find(|line| line.starts_with(name))?;
                Some(line[name.len()..].trim_start_matches(':').trim().to_owned())
            };
            let is_ours = field("PPid").is_some_and(|parent| parent == us);
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if !is_ours || !String::from_utf8_lossy(&command).trim_end_matches('\0').ends_with(program) {
                continue;
            }
            let peak = field("VmHWM").and_then(|text| text.trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0);
            self.peaks.entry(pid).and_modify(|known| *known = peak.max(*known)).or_insert(peak);
            running.push(pid);
        }
        running
    }
}

/// `kill -9`.
pub(crate) fn kill(pid: u32) -> anyhow::Result<()> {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status()?;
    ensure!(killed.success(), "process {pid} could not be killed");
    Ok(())
}
