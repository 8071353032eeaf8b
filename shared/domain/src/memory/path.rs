//! Paths of an agent's notes.

use std::fmt;

/// Where all paths begin.
pub const ROOT: &str = "/memories";
/// Longest path, characters.
const LONGEST: usize = 200;

/// A path at or under [`ROOT`], without empty or dotted parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryPath(String);

impl MemoryPath {
    /// Reads a path; the error is a sentence. Doubled slashes, a slash at the end and `.` are left out; `..` is refused
    /// wherever a name begins with it, and so are blanks around a name: no path is ever taken for another one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = || text.chars().take(LONGEST).collect::<String>().escape_debug().to_string();
        if text.chars().any(char::is_control) {
            return Err(format!("the path \"{}\" holds a control character", shown()));
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if !text.starts_with('/') || parts.first() != Some(&&ROOT[1..]) {
            return Err(format!("the path \"{}\" does not begin with {ROOT}", shown()));
        }
        if parts.iter().any(|part| part.starts_with("..")) {
            return Err(format!("the path \"{}\" holds \"..\"", shown()));
        }
        if parts.iter().any(|part| part.trim() != *part) {
            return Err(format!("the path \"{}\" has a name that begins or ends with a blank", shown()));
        }
        let path = format!("/{}", parts.join("/"));
        match path.chars().count() {
            count if count > LONGEST => Err(format!("the path has {count} characters, the most is {LONGEST}")),
            _ => Ok(Self(path)),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the folder of all notes.
    pub fn is_root(&self) -> bool {
        self.0 == ROOT
    }

    /// Whether `name` is at this path or under it.
    pub fn holds(&self, name: &str) -> bool {
        name.strip_prefix(self.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The paths of the folders it is in, outermost first, [`ROOT`] left out.
    pub(super) fn above(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').skip(2).map(|(at, _)| &self.0[..at])
    }
}

impl fmt::Display for MemoryPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_in_one_way_only() {
        for (given, read) in [
            ("/memories", "/memories"),
            ("/memories/", "/memories"),
            ("//memories//a/./b/", "/memories/a/b"),
            ("/memories/über uns.md", "/memories/über uns.md"),
            ("/memories/%2e%2e/x", "/memories/%2e%2e/x"),
        ] {
            assert_eq!(MemoryPath::parse(given).map(|path| path.0), Ok(read.to_owned()), "{given}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_memory() {
        let long = format!("/memories/{}", "a".repeat(191));
        for bad in [
            "",
            "/",
            "memories/a",
            "/memoriesx/a",
            "/etc/passwd",
            "/memories/../etc/passwd",
            "/memories/a/../../b",
            "/memories/ .. /b",
            "/memories/a /b",
            "/memories/..a",
            "/../memories/a",
            "/memories/a\nb",
            "/memories/a\0",
            &long,
        ] {
            assert!(MemoryPath::parse(bad).is_err(), "{bad:?}");
        }
        assert!(MemoryPath::parse(&long[..200]).is_ok());
    }

    #[test]
    fn a_folder_holds_what_is_under_it_and_not_what_is_called_alike() {
        let folder = MemoryPath::parse("/memories/a").unwrap();
        assert!(folder.holds("/memories/a") && folder.holds("/memories/a/b/c"));
        assert!(!folder.holds("/memories/ab") && !folder.holds("/memories"));
        let deep = MemoryPath::parse("/memories/a/b/c").unwrap();
        assert_eq!(deep.above().collect::<Vec<_>>(), ["/memories/a", "/memories/a/b"]);
    }
}
