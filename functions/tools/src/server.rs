//! The MCP server of one request: it knows one run and the tools its token names.

use std::sync::Arc;

use nightshift_domain::tools::acts;
use nightshift_engine::endpoint::{self, Granted};
use nightshift_engine::tools::Answer;
use nightshift_engine::{Deps, EngineError, Invocation};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use tracing::error;

/// One request's server.
#[derive(Clone)]
pub(crate) struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    deps: Deps,
    invocation: Invocation,
    granted: Granted,
}

impl Server {
    pub(crate) fn new(deps: Deps, invocation: Invocation, granted: Granted) -> Self {
        Self { inner: Arc::new(Inner { deps, invocation, granted }) }
    }

    /// The client is told that it failed, the log why.
    fn failed(&self, what: &str, error: &EngineError) -> ErrorData {
        let Inner { granted, .. } = self.inner.as_ref();
        error!(run.id = %granted.run.key, "{what} of run {} failed: {}", granted.run.key, error.chain());
        ErrorData::internal_error(format!("{what} failed inside; try again"), None)
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("nightshift", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let Inner { deps, granted, .. } = self.inner.as_ref();
        let definitions = Box::pin(endpoint::definitions(deps, granted)).await;
        let definitions = definitions.map_err(|error| self.failed("the list of tools", &error))?;
        Ok(ListToolsResult::with_all_items(definitions.iter().map(tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Inner { deps, invocation, granted } = self.inner.as_ref();
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let answer = Box::pin(endpoint::call(deps, invocation, granted, &request.name, arguments)).await;
        let Answer { text, is_error, .. } = answer.map_err(|error| self.failed("a call", &error))?;
        let content = vec![ContentBlock::text(text)];
        let result = if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
        Ok(result.into())
    }
}

/// `{name, description, input_schema}` in MCP's words.
fn tool(definition: &Value) -> Tool {
    let text = |field: &str| definition[field].as_str().unwrap_or_default().to_owned();
    let schema: JsonObject = definition["input_schema"].as_object().cloned().unwrap_or_default();
    let hints = ToolAnnotations::new().read_only(!acts(&text("name"), &Value::Null));
    Tool::new(text("name"), text("description"), schema).with_annotations(hints)
}
