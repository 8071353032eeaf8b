//! What a folder of notes is shown as.

use std::collections::BTreeMap;

use crate::shelf::Entry;

use super::MemoryPath;

/// How deep a folder is shown.
const DEEP: usize = 2;

/// The folder at `path`: what is in it, two levels deep, with its size. Hidden files are shown too: they are the agent's own.
pub(super) fn listing(path: &MemoryPath, entries: &[Entry]) -> String {
    let inside = |entry: &&Entry| path.holds(&entry.name) && entry.name != path.as_str();
    let (mut rows, mut total) = (BTreeMap::<String, (u64, bool)>::new(), 0);
    for entry in entries.iter().filter(inside) {
        total += entry.bytes;
        let parts: Vec<&str> = entry.name[path.as_str().len() + 1..].split('/').collect();
        for depth in 1..=parts.len().min(DEEP) {
            let folder = depth < parts.len();
            let row = rows.entry(format!("{path}/{}", parts[..depth].join("/"))).or_insert((0, folder));
            row.0 += entry.bytes;
        }
    }
    let row = |(name, (bytes, folder)): (&String, &(u64, bool))| {
        format!("{}\t{name}{}", size(*bytes), if *folder { "/" } else { "" })
    };
    let mut out = vec![format!("Files and folders in {path}, {DEEP} levels deep, with their sizes:")];
    out.push(format!("{}\t{path}", size(total)));
    out.extend(rows.iter().map(row));
    out.join("\n")
}

/// A size as `du -h` writes it, with one decimal above a thousand bytes.
fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let tenths = bytes * 10 / 1024;
    format!("{}.{}K", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_shown_two_levels_deep_with_sizes() {
        let entry = |name: &str, bytes| {
            let changed_at = chrono::DateTime::UNIX_EPOCH;
            Entry { name: format!("/memories/{name}"), bytes, rev: 1, revision: 1, changed_at }
        };
        let entries = [entry("a.md", 10), entry("p/b.md", 1536), entry("p/q/r/c.md", 1), entry("p/q/d.md", 2)];
        let root = MemoryPath::parse("/memories").unwrap();
        let shown = "Files and folders in /memories, 2 levels deep, with their sizes:\n1.5K\t/memories\n10B\t/memories/a.md\n\
            1.5K\t/memories/p/\n1.5K\t/memories/p/b.md\n3B\t/memories/p/q/";
        assert_eq!(listing(&root, &entries), shown);
        let inner = MemoryPath::parse("/memories/p/q").unwrap();
        assert!(
            listing(&inner, &entries)
                .ends_with("3B\t/memories/p/q\n2B\t/memories/p/q/d.md\n1B\t/memories/p/q/r/\n1B\t/memories/p/q/r/c.md")
        );
        assert!(listing(&root, &[]).ends_with("0B\t/memories"));
    }
}
