//! The API's side of the MCP connector: calls a tool of a server that a request names, as a real client over HTTP.
//!
//! A call never fails: whatever goes wrong is an `mcp_tool_result` with `is_error`, as the model would see it. Nothing
//! leaves the machine: an `https` origin is reached only where it is mapped to loopback, or is loopback itself.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Map, Value, json};
use url::{Host, Url};

/// How long a server may take over one HTTP exchange. The API's own limit is not documented.
const PATIENCE: Duration = Duration::from_mins(1);

/// An MCP call that has no result yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    id: String,
    server: String,
    name: String,
    input: Map<String, Value>,
}

impl Call {
    /// Reads an `mcp_tool_use` block.
    pub(crate) fn of(block: &Value) -> Option<Self> {
        let text = |field: &str| block[field].as_str().map(str::to_owned);
        let input = block["input"].as_object().cloned().unwrap_or_default();
        Some(Self { id: text("id")?, server: text("server_name")?, name: text("name")?, input })
    }

    /// Makes the call on the server that `params` define, and answers with its `mcp_tool_result` block
    /// (Python SDK 2.11.0, `BetaMCPToolResultBlock`).
    pub(crate) async fn make(self, params: &Map<String, Value>, origins: &BTreeMap<String, String>) -> Value {
        let id = self.id.clone();
        let (content, is_error) = match self.answer(params, origins).await {
            Ok(result) => (content(&result), result.is_error.unwrap_or(false)),
            Err(refusal) => (vec![text(&refusal)], true),
        };
        json!({"type": "mcp_tool_result", "tool_use_id": id, "is_error": is_error, "content": content})
    }

    async fn answer(
        self,
        params: &Map<String, Value>,
        origins: &BTreeMap<String, String>,
    ) -> Result<CallToolResult, String> {
        let Self { server: name, name: tool, input, .. } = self;
        let named = |list: &str, field: &str| {
            let list = params.get(list).and_then(Value::as_array);
            list.into_iter().flatten().find(|entry| entry[field] == name.as_str())
        };
        let server = named("mcp_servers", "name").ok_or_else(|| format!("There is no MCP server '{name}'."))?;
        let unknown = || format!("The MCP server '{name}' has no tool '{tool}'.");
        if !named("tools", "mcp_server_name").is_none_or(|toolset| enabled(toolset, &tool)) {
            return Err(unknown());
        }
        let url = address(server["url"].as_str().unwrap_or_default(), origins)
            .ok_or_else(|| format!("The MCP server '{name}' could not be reached."))?;
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.timeout(PATIENCE).build().map_err(|error| error.to_string())?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        if let Some(token) = server["authorization_token"].as_str() {
            config = config.auth_header(token);
        }
        let transport = StreamableHttpClientTransport::with_client(client, config);
        let session = ().serve(transport).await.map_err(|error| trouble(&name, &error))?;
        let tools = session.list_all_tools().await;
        let result = match tools {
            Err(error) => Err(trouble(&name, &error)),
            Ok(tools) if !tools.iter().any(|listed| listed.name == tool) => Err(unknown()),
            Ok(_) => {
                let call = CallToolRequestParams::new(tool.clone()).with_arguments(input);
                session.call_tool(call).await.map_err(|error| trouble(&name, &error))
            }
        };
        // What the session's end brings changes nothing about the answer.
        let _ = session.cancel().await;
        result
    }
}

/// Whether a toolset (Python SDK 2.11.0, `BetaMCPToolsetParam`) offers the tool: its own entry first, then the default.
fn enabled(toolset: &Value, tool: &str) -> bool {
    let own = toolset["configs"][tool]["enabled"].as_bool();
    own.or_else(|| toolset["default_config"]["enabled"].as_bool()).unwrap_or(true)
}

/// Where a server is reached: through the mapped origin, or directly when it is on this machine.
fn address(url: &str, origins: &BTreeMap<String, String>) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    let origin = url.origin();
    if let Some(mapped) = origins.iter().find(|pair| Url::parse(pair.0).is_ok_and(|from| from.origin() == origin)) {
        let to = Url::parse(mapped.1).ok()?;
        url.set_scheme(to.scheme()).ok()?;
        url.set_host(to.host_str()).ok()?;
        url.set_port(to.port()).ok()?;
    }
    is_loopback(&url).then(|| url.to_string())
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What the model is told about a server that fails; no word of it comes from the server or from the token.
fn trouble(server: &str, error: &dyn Error) -> String {
    let mut chain = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        chain.push_str(&error.to_string());
        chain.push('\n');
        cause = error.source();
    }
    tracing::debug!(mcp.server = server, error = chain, "an MCP server failed");
    let refused = ["Auth required", "Insufficient scope", "401", "403"].iter().any(|word| chain.contains(word));
    if refused {
        format!("The MCP server '{server}' refused the authorization token.")
    } else {
        format!("The MCP server '{server}' could not be reached or did not answer as one.")
    }
}

/// The content as text blocks, which is all that a result may hold; other content is told as its JSON.
fn content(result: &CallToolResult) -> Vec<Value> {
    if let Some(structured) = result.structured_content.as_ref().filter(|_| result.content.is_empty()) {
        return vec![text(&structured.to_string())];
    }
    let block = |block: &ContentBlock| {
        let said = block.as_text().map(|said| said.text.clone());
        text(&said.or_else(|| serde_json::to_string(block).ok()).unwrap_or_default())
    };
    result.content.iter().map(block).collect()
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_origin_is_reached_on_loopback_and_nothing_else_leaves_the_machine() {
        let origins = BTreeMap::from([("https://nightshift.example".to_owned(), "http://127.0.0.1:1234".to_owned())]);
        let reach = |url: &str| address(url, &origins);
        assert_eq!(reach("https://nightshift.example/mcp?a=b").as_deref(), Some("http://127.0.0.1:1234/mcp?a=b"));
        assert_eq!(reach("https://nightshift.example:8443/mcp"), None);
        assert_eq!(reach("https://nightshift.example.evil.example/mcp"), None);
        assert_eq!(reach("https://elsewhere.example/mcp"), None);
        assert_eq!(reach("https://127.0.0.1:9/mcp").as_deref(), Some("https://127.0.0.1:9/mcp"));
    }

    #[test]
    fn a_toolset_switches_tools_off_by_name_or_by_default() {
        let toolset = json!({"default_config": {"enabled": false}, "configs": {"list": {"enabled": true}}});
        assert!(enabled(&toolset, "list"));
        assert!(!enabled(&toolset, "remove"));
        assert!(!enabled(&json!({"configs": {"remove": {"enabled": false}}}), "remove"));
        assert!(enabled(&json!({}), "list"));
    }
}
