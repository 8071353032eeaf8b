//! The tools that a provider's own loop may call over Nightshift's MCP endpoint, within one hop.
//!
//! Only what reads is offered there unless the configuration says otherwise: the provider may repeat a call hours later, and
//! nobody on this side sees the conversation it belongs to. A tool that is offered whole is left out of the request's own
//! tools, since a model that is offered the same thing twice takes either; it stays among those the run may use, because the
//! MCP connector now and then asks for one with a plain `tool_use` (anthropic-sdk-python#1581). A face that only reads stands
//! beside its tool, which keeps acting through the hops.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Offer, definition, lists};
use crate::config::{EndpointRules, WebhookTool};

/// What the endpoint is called in a request's MCP servers; no configured server may have this name.
pub const SERVER_NAME: &str = "nightshift";

/// A face of a tool that only reads.
struct Face {
    name: &'static str,
    /// The tool it is a face of.
    of: &'static str,
    /// The field of that tool that says what to do.
    field: &'static str,
    /// The fields that only acting words take.
    without: &'static [&'static str],
    /// What the model is told.
    told: &'static str,
}

const FACES: [Face; 2] = [
    Face {
        name: "memory_view",
        of: "memory",
        field: "command",
        without: &["file_text", "old_str", "new_str", "insert_line", "insert_text", "old_path", "new_path"],
        told: "Looks at your notes, which last from run to run, and changes nothing. Paths begin with /memories; `view` lists a folder or shows a file.",
    },
    Face {
        name: "cron_view",
        of: "cron",
        field: "action",
        without: &["job", "patch", "in"],
        told: "Looks at your own scheduled jobs, and changes nothing: `status`, `list`, `get` with a jobId, and `runs`.",
    },
];

/// What is offered over the endpoint unless the configuration says otherwise.
pub const READING: [&str; 3] = ["http_fetch", "memory_view", "cron_view"];

/// What a model is told of a tool that acts and is called over the endpoint.
const ONCE: &str =
    " The same call with the same arguments is carried out once in a run; a repeat gets the result of the first.";

/// The tool behind a face that only reads.
pub fn behind(name: &str) -> Option<&'static str> {
    FACES.iter().find(|face| face.name == name).map(|face| face.of)
}

/// Moves what `rules` allow from the hops to the endpoint. Answers the names the endpoint has them under, none where it has
/// nothing to offer; the offer is then as it was.
pub fn over_endpoint(offer: &mut Offer, rules: &EndpointRules) -> Vec<String> {
    let mut names = Vec::new();
    if !rules.enabled {
        return names;
    }
    for tool in &offer.client {
        let face = FACES.iter().find(|face| face.of == tool).map(|face| face.name);
        if lists(&rules.allow, tool) {
            names.push(tool.clone());
        } else if let Some(face) = face.filter(|face| lists(&rules.allow, face)) {
            names.push(face.to_owned());
        }
    }
    if names.is_empty() {
        return names;
    }
    offer.tools.retain(|tool| !tool["name"].as_str().is_some_and(|name| names.iter().any(|moved| moved == name)));
    offer.tools.push(json!({ "type": "mcp_toolset", "mcp_server_name": SERVER_NAME }));
    let faces = names.iter().filter(|name| behind(name).is_some());
    offer.client.extend(faces.cloned());
    names
}

/// The tool as the endpoint tells of it: `{name, description, input_schema}`.
pub fn endpoint_definition(name: &str, webhooks: &BTreeMap<String, WebhookTool>) -> Option<Value> {
    if let Some(face) = FACES.iter().find(|face| face.name == name) {
        return face.definition();
    }
    let mut tool = definition(name).or_else(|| {
        let tool = webhooks.get(name)?;
        Some(json!({ "name": name, "description": tool.description, "input_schema": tool.input_schema }))
    })?;
    if super::changes(name, &Value::Null) {
        let told = format!("{}{ONCE}", tool["description"].as_str().unwrap_or_default());
        tool["description"] = told.into();
    }
    Some(tool)
}

impl Face {
    /// The tool's definition with the words that read, and the fields those take.
    fn definition(&self) -> Option<Value> {
        let mut tool = definition(self.of)?;
        tool["name"] = self.name.into();
        tool["description"] = self.told.into();
        let fields = tool["input_schema"]["properties"].as_object_mut()?;
        fields.retain(|field, _| !self.without.contains(&field.as_str()));
        let words = fields.get_mut(self.field)?.get_mut("enum")?.as_array_mut()?;
        words.retain(|word| !super::changes(self.of, &json!({ self.field: word })));
        Some(tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ToolRules, Tools};
    use crate::tools::{Wishes, changes, offer};

    fn rules(endpoint: &Value) -> EndpointRules {
        let tools: Tools = serde_json::from_value(json!({ "endpoint": endpoint })).unwrap();
        ToolRules::of(Some(&tools), None).endpoint
    }

    fn webhooks() -> BTreeMap<String, WebhookTool> {
        let tool = WebhookTool { description: "Opens a ticket.".to_owned(), ..WebhookTool::default() };
        BTreeMap::from([("ticket_create".to_owned(), tool)])
    }

    fn all() -> Offer {
        offer(Wishes {
            rules: &ToolRules::of(None, None),
            job: None,
            announces: false,
            server_tools: false,
            mcp: true,
            webhooks: &webhooks(),
            servers: &[],
        })
    }

    fn shown(offer: &Offer) -> Vec<&str> {
        offer.tools.iter().filter_map(|tool| tool["name"].as_str().or(tool["mcp_server_name"].as_str())).collect()
    }

    #[test]
    fn only_what_reads_is_moved_unless_the_configuration_says_otherwise() {
        let mut offer = all();
        let names = over_endpoint(&mut offer, &rules(&json!({})));
        assert_eq!(names, ["memory_view", "cron_view", "http_fetch"]);
        assert!(names.iter().all(|name| !changes(name, &Value::Null)));
        assert_eq!(shown(&offer), ["message", "memory", "cron", "ticket_create", "nightshift"]);
        let client = ["message", "memory", "cron", "http_fetch", "ticket_create", "memory_view", "cron_view"];
        assert_eq!(offer.client, client, "a plain tool_use for any of them still works");
    }

    #[test]
    fn a_tool_that_is_allowed_whole_leaves_the_hops_and_takes_the_place_of_its_face() {
        let mut offer = all();
        let allow = json!({ "allow": ["memory", "memory_view", "ticket_create"] });
        assert_eq!(over_endpoint(&mut offer, &rules(&allow)), ["memory", "ticket_create"]);
        assert_eq!(shown(&offer), ["message", "cron", "http_fetch", "nightshift"]);
        let mut offer = all();
        let everything = over_endpoint(&mut offer, &rules(&json!({ "allow": ["*"] })));
        assert_eq!(everything, ["message", "memory", "cron", "http_fetch", "ticket_create"]);
        assert_eq!(shown(&offer), ["nightshift"]);
    }

    #[test]
    fn what_the_run_may_not_use_is_not_at_the_endpoint_either() {
        for endpoint in [json!({ "enabled": false }), json!({ "allow": [] }), json!({ "allow": ["nonsense"] })] {
            let mut offer = all();
            assert_eq!(over_endpoint(&mut offer, &rules(&endpoint)), [""; 0]);
            assert_eq!(offer, all());
        }
        let mut few = Offer { client: vec!["message".to_owned()], ..Offer::default() };
        assert_eq!(over_endpoint(&mut few, &rules(&json!({ "allow": ["memory", "http_fetch"] }))), [""; 0]);
    }

    #[test]
    fn a_face_has_the_words_and_fields_that_read_and_says_which() {
        for face in FACES {
            let tool = endpoint_definition(face.name, &webhooks()).unwrap();
            assert_eq!(tool["name"], face.name);
            let fields = tool["input_schema"]["properties"].as_object().unwrap();
            let words = fields[face.field]["enum"].as_array().unwrap();
            assert!(!words.is_empty());
            for word in words.iter().map(|word| word.as_str().unwrap()) {
                assert!(face.told.contains(&format!("`{word}`")), "{}: {word}", face.name);
                assert!(!changes(face.of, &json!({ face.field: word })));
            }
            let whole = definition(face.of).unwrap();
            for field in face.without {
                assert!(whole["input_schema"]["properties"].get(field).is_some(), "{field} is a field of {}", face.of);
                assert!(!fields.contains_key(*field));
            }
        }
        let words = |name| endpoint_definition(name, &webhooks()).unwrap()["input_schema"]["properties"].clone();
        assert_eq!(words("memory_view")["command"]["enum"], json!(["view"]));
        assert_eq!(words("cron_view")["action"]["enum"], json!(["status", "list", "get", "runs"]));
    }

    #[test]
    fn a_model_is_told_that_an_acting_call_is_carried_out_once() {
        let told = |name| endpoint_definition(name, &webhooks()).unwrap()["description"].to_string();
        for name in ["message", "memory", "cron", "ticket_create"] {
            assert!(told(name).contains("carried out once"), "{name}");
        }
        assert!(!told("http_fetch").contains("carried out once"));
        assert_eq!(endpoint_definition("nonsense", &webhooks()), None);
    }
}
