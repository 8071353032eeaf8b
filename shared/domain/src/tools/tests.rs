use super::*;

fn rules(edit: impl FnOnce(&mut ToolRules)) -> ToolRules {
    let mut rules = ToolRules::of(None, None);
    edit(&mut rules);
    rules
}

fn names(offer: &Offer) -> Vec<&str> {
    let name = |tool: &'_ Value| tool["name"].as_str().or(tool["mcp_server_name"].as_str()).map(str::len);
    assert!(offer.tools.iter().all(|tool| name(tool).is_some()), "{offer:?}");
    offer.tools.iter().filter_map(|tool| tool["name"].as_str().or(tool["mcp_server_name"].as_str())).collect()
}

fn chosen(rules: &ToolRules, job: Option<&[&str]>, announces: bool) -> Offer {
    let webhooks = BTreeMap::from([("ticket_create".to_owned(), WebhookTool::default())]);
    let servers = ["github".to_owned()];
    let job: Option<Vec<String>> = job.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    offer(Wishes {
        rules,
        job: job.as_deref(),
        announces,
        server_tools: true,
        mcp: true,
        webhooks: &webhooks,
        servers: &servers,
    })
}

#[test]
fn everything_that_is_switched_on_is_offered_in_a_fixed_order() {
    let offer = chosen(&rules(|_| {}), None, false);
    let all = ["web_search", "web_fetch", "message", "memory", "cron", "http_fetch", "ticket_create", "github"];
    assert_eq!(names(&offer), all);
    assert_eq!(offer.client, ["message", "memory", "cron", "http_fetch", "ticket_create"]);
    assert_eq!(offer.servers, ["github"]);
    assert!(offer.notes.is_empty());
}

#[test]
fn an_announcing_run_gets_message_only_where_its_job_names_it() {
    assert!(!names(&chosen(&rules(|_| {}), None, true)).contains(&"message"));
    assert!(!names(&chosen(&rules(|_| {}), Some(&["*"]), true)).contains(&"message"));
    assert_eq!(names(&chosen(&rules(|_| {}), Some(&["message"]), true)), ["message"]);
}

#[test]
fn an_empty_list_means_none_and_a_name_that_cannot_be_had_is_remarked() {
    assert_eq!(chosen(&rules(|_| {}), Some(&[]), false), Offer::default());
    let offer = chosen(&rules(|rules| rules.memory = false), Some(&["memory", "http_fetch", "nonsense"]), false);
    assert_eq!(names(&offer), ["http_fetch"]);
    assert_eq!(offer.notes, ["toolsAllow names what this run cannot have: memory, nonsense"]);
}

#[test]
fn an_agents_own_list_bounds_what_a_job_may_name() {
    let offer = chosen(&rules(|rules| rules.allow = vec!["memory".into()]), Some(&["memory", "http_fetch"]), false);
    assert_eq!(names(&offer), ["memory"]);
}

#[test]
fn reading_calls_may_be_repeated_and_acting_ones_not() {
    assert!(!acts("http_fetch", &json!({ "url": "https://a.example" })));
    for command in ["view", "create", "insert"] {
        assert!(!acts("memory", &json!({ "command": command, "path": "/memories/a" })), "a repeat is recognised");
    }
    assert!(!acts("cron", &json!({ "action": "list" })));
    for (name, input) in
        [("message", json!({ "text": "hi" })), ("cron", json!({ "action": "add" })), ("ticket_create", json!({}))]
    {
        assert!(acts(name, &input), "{name} {input}");
    }
}
