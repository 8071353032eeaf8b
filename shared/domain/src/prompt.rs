//! The system prompt of a run.
//!
//! Guarantee: pure, and the same bytes for the same sources: nothing in it changes from run to run by itself, no date and no
//! id, so that the prompt cache serves the runs that come after.

/// What an agent with a memory is told of it.
const MEMORY: &str = "You have a memory that lasts from run to run: the files under /memories. Look there with the memory \
tool before you begin what earlier runs may know something about, and note there in few words what later runs should know. \
A run ends without a warning, so note things when you learn them.";

/// The prompt of `instructions`, the named documents in their order, and what is to be said of the memory where there is
/// one; `None` where there is nothing to say.
pub fn system(instructions: Option<&str>, documents: &[(String, String)], memory: bool) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(instructions.map(|text| text.trim_end().to_owned()));
    parts.extend(documents.iter().map(|(name, text)| format!("# {name}\n\n{}", text.trim_end())));
    parts.extend(memory.then(|| MEMORY.to_owned()));
    parts.retain(|part| !part.is_empty());
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_come_first_then_documents_under_their_names_then_the_memory() {
        let documents = [("AGENTS.md".to_owned(), "Be brief.\n\n".to_owned()), ("b".to_owned(), "Be kind.".to_owned())];
        let prompt = system(Some("You are a scout.\n"), &documents, true).unwrap();
        let (before, memory) = prompt.split_once("\n\nYou have a memory").unwrap();
        assert_eq!(before, "You are a scout.\n\n# AGENTS.md\n\nBe brief.\n\n# b\n\nBe kind.");
        assert!(memory.contains("/memories"));
        assert_eq!(system(Some("You are a scout.\n"), &documents, true), Some(prompt));
    }

    #[test]
    fn a_run_without_any_of_it_has_no_prompt() {
        assert_eq!(system(None, &[], false), None);
        assert_eq!(system(Some("\n"), &[], false), None);
        assert_eq!(system(Some("x"), &[], false).as_deref(), Some("x"));
        assert_eq!(system(None, &[], true).as_deref(), Some(MEMORY));
    }
}
