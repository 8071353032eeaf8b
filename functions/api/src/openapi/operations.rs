//! What each method and each hook takes, answers and refuses: a line for each.

use nightshift_domain::job::Job;
use nightshift_domain::{FieldError, JobId, RunKey};
use nightshift_engine::EngineError;
use nightshift_engine::jobs::Refusal;
use nightshift_engine::ports::TimerError;
use nightshift_wire::schema::Schemas;
use nightshift_wire::{
    CancelAnswer, ConfigAnswer, ConfigApplied, ConfigValidated, CostAnswer, DoctorAnswer, DocumentAnswer, DocumentList,
    DocumentPut, EventAnswer, HeartbeatAnswer, HookAnswer, ImportAnswer, JobAnswer, JobPage, MemoryAnswer, MemoryList,
    MemoryPut, NotesAnswer, PlanAnswer, RemoveAnswer, RunAnswer, RunPage, RunView, SessionAnswer, SessionPage,
    StatusAnswer, requests,
};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::parts;
use crate::error::Fault;
use crate::methods::Method;

/// What a method may refuse beside what every method may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    /// The job it names is not there.
    MissJob,
    /// The run it names is not there.
    MissRun,
    /// The session it names is not there.
    MissSession,
    /// A run is using the session.
    MeetHolder,
    /// The id it gives belongs to another job.
    MeetJob,
    /// The document it names is not there.
    MissDocument,
    /// The file it names is not there.
    MissMemory,
    /// The text is at another revision.
    MeetText,
    /// The configuration is at another revision.
    MeetRevision,
    /// Others change the same row, again and again.
    Race,
    /// The stored configuration, which it needs, cannot be read.
    LackConfig,
    /// Hooks are switched off.
    MissHooks,
    /// The hook it names is not configured.
    MissHook,
    /// The token that callers are to show cannot be looked up.
    LackToken,
    /// A timer or function, which it needs, cannot be reached.
    LackTimers,
    /// The blob store, where long texts are, cannot be reached.
    LackBlobs,
}

/// The description of `method`. A new method needs a type of what it takes and one of what it answers (`shared/wire`), and its
/// line here.
pub(super) fn describe(method: Method, schemas: &mut Schemas) -> Operation {
    use May::{
        LackBlobs, LackConfig, LackTimers, MeetHolder, MeetJob, MeetRevision, MeetText, MissDocument, MissJob,
        MissMemory, MissRun, MissSession, Race,
    };
    let mut of = Describer { name: method.name(), changes: method.changes_something(), schemas };
    match method {
        Method::List => of.line::<requests::ListJobs, JobPage>(&[LackBlobs]),
        Method::Get => of.line::<requests::GetJob, Job>(&[MissJob, LackBlobs]),
        Method::Add => of.line::<requests::JobInput, JobAnswer>(&[MeetJob, Race, LackConfig, LackTimers, LackBlobs]),
        Method::Update => {
            of.line::<requests::UpdateJob, JobAnswer>(&[MissJob, Race, LackConfig, LackTimers, LackBlobs])
        }
        Method::Remove => of.line::<requests::RemoveJob, RemoveAnswer>(&[MissJob, Race, LackConfig, LackTimers]),
        Method::Run => of.line::<requests::RunJob, RunAnswer>(&[MissJob, Race, LackConfig, LackTimers, LackBlobs]),
        Method::Cancel => of.line::<requests::CancelRun, CancelAnswer>(&[MissRun, Race, LackConfig, LackTimers]),
        Method::Runs => of.line::<requests::ListRuns, RunPage>(&[LackConfig, LackBlobs]),
        Method::RunGet => of.line::<requests::GetRun, RunView>(&[MissRun, LackBlobs]),
        Method::Status => of.line::<requests::GetStatus, StatusAnswer>(&[LackConfig]),
        Method::SystemEvent => of.line::<requests::SendEvent, EventAnswer>(&[Race, LackConfig, LackTimers]),
        Method::HeartbeatLast => of.line::<requests::LastHeartbeat, HeartbeatAnswer>(&[LackConfig]),
        Method::HeartbeatNotes => {
            of.line::<requests::HeartbeatNotes, NotesAnswer>(&[MeetText, Race, LackConfig, LackTimers, LackBlobs])
        }
        Method::ConfigGet => of.line::<requests::GetConfig, ConfigAnswer>(&[]),
        Method::ConfigSet => of.line::<requests::SetConfig, ConfigApplied>(&[MeetRevision, Race, LackTimers]),
        Method::ConfigUnset => of.line::<requests::UnsetConfig, ConfigApplied>(&[MeetRevision, Race, LackTimers]),
        Method::ConfigValidate => of.line::<requests::ValidateConfig, ConfigValidated>(&[]),
        Method::Plan => of.line::<requests::PlanRuns, PlanAnswer>(&[MissJob, LackConfig]),
        Method::Doctor => of.line::<requests::CheckUp, DoctorAnswer>(&[Race, LackConfig, LackTimers, LackBlobs]),
        Method::Import => of.line::<requests::ImportJobs, ImportAnswer>(&[Race, LackConfig, LackTimers, LackBlobs]),
        Method::Cost => of.line::<requests::SumCosts, CostAnswer>(&[LackConfig]),
        Method::DocumentsList => of.line::<requests::ListDocuments, DocumentList>(&[]),
        Method::DocumentsGet => of.line::<requests::GetDocument, DocumentAnswer>(&[MissDocument, Race, LackBlobs]),
        Method::DocumentsPut => of.line::<requests::PutDocument, DocumentPut>(&[MeetText, Race, LackBlobs]),
        Method::DocumentsRemove => of.line::<requests::RemoveDocument, RemoveAnswer>(&[MissDocument, MeetText, Race]),
        Method::MemoryList => of.line::<requests::ListMemory, MemoryList>(&[LackConfig]),
        Method::MemoryGet => of.line::<requests::GetMemory, MemoryAnswer>(&[MissMemory, Race, LackConfig]),
        Method::MemoryPut => of.line::<requests::PutMemory, MemoryPut>(&[MeetText, Race, LackConfig]),
        Method::MemoryRemove => {
            of.line::<requests::RemoveMemory, RemoveAnswer>(&[MissMemory, MeetText, Race, LackConfig])
        }
        Method::SessionsList => of.line::<requests::ListSessions, SessionPage>(&[LackConfig]),
        Method::SessionsGet => of.line::<requests::GetSession, SessionAnswer>(&[MissSession, LackConfig, LackBlobs]),
        Method::SessionsRemove => {
            of.line::<requests::RemoveSession, RemoveAnswer>(&[MissSession, MeetHolder, Race, LackConfig])
        }
        Method::ConfigApply => of.line::<requests::ApplyConfig, ConfigApplied>(&[MeetRevision, Race, LackTimers]),
    }
}

/// The hooks by the ends of their paths; a `{name}` is one of `hooks.named`.
pub(super) const HOOKS: [&str; 3] = ["wake", "agent", "{name}"];

/// The description of the hook whose path ends with `path`.
pub(super) fn describe_hook(path: &'static str, schemas: &mut Schemas) -> Operation {
    use May::{LackBlobs, LackConfig, LackTimers, LackToken, MissHook, MissHooks, Race};
    let may = [MissHooks, Race, LackConfig, LackToken, LackTimers];
    let mut of = Describer { name: "hooks.named", changes: true, schemas };
    match path {
        "wake" => {
            of.name = "hooks.wake";
            of.line::<requests::WakeHook, EventAnswer>(&may)
        }
        "agent" => {
            of.name = "hooks.agent";
            of.line::<requests::AgentHook, HookAnswer>(&[&may[..], &[LackBlobs]].concat())
        }
        _ => of.line::<requests::NamedHookBody, HookAnswer>(&[&may[..], &[MissHook, LackBlobs]].concat()),
    }
}

struct Describer<'a> {
    name: &'static str,
    changes: bool,
    schemas: &'a mut Schemas,
}

impl Describer<'_> {
    fn line<Takes: JsonSchema, Answers: JsonSchema>(&mut self, may: &[May]) -> Operation {
        let takes = self.schemas.of_taken::<Takes>().unwrap_or_default();
        let answers = self.schemas.of_answered::<Answers>().unwrap_or_default();
        let names = |schema: &Value, part: &str| -> Vec<String> {
            match schema.get(part) {
                Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                Some(Value::Object(map)) => map.keys().cloned().collect(),
                Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => Vec::new(),
            }
        };
        let text = takes.get("description").and_then(Value::as_str).unwrap_or_default();
        let (summary, description) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut faults = parts::always();
        if self.changes {
            faults.push(Fault::KeyReused);
        }
        faults.extend(may.iter().map(|may| may.fault()));
        Operation {
            name: self.name,
            changes: self.changes,
            summary: summary.replace('\n', " ").trim_end_matches('.').to_owned(),
            description: description.replace("\n\n", "\r").replace('\n', " ").replace('\r', "\n\n"),
            needs: names(&takes, "required"),
            shows: names(&answers, "properties"),
            takes: self.schemas.taken::<Takes>(),
            answers: self.schemas.answered::<Answers>(),
            faults,
        }
    }
}

impl May {
    /// A refusal of this kind, for its status and words.
    fn fault(self) -> Fault {
        let timer = || TimerError { operation: String::new(), expression_refused: false, source: None };
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let blob = nightshift_engine::ports::BlobError { key: String::new(), source: std::sync::Arc::new(missing) };
        let brief = JobId::parse("brief");
        Fault::Refused(match self {
            Self::MissHooks => return Fault::NoPath,
            Self::MissHook => return Fault::NoHook("gmail".to_owned()),
            Self::LackToken => return Fault::NoSecret(String::new()),
            Self::MissJob => Refusal::NoJob("brief".to_owned()),
            Self::MissRun => Refusal::NoRun("brief_20261120T070000Z".to_owned()),
            Self::MissSession => Refusal::NoSession { agent: "main".to_owned(), name: "standup".to_owned() },
            Self::MeetHolder => match RunKey::parse("brief_20261120T070000Z") {
                Ok(run) => Refusal::SessionBusy { name: "standup".to_owned(), run },
                Err(fault) => fault.into(),
            },
            Self::MeetJob => brief.map_or_else(Refusal::from, Refusal::JobExists),
            Self::MissDocument => Refusal::NoDocument("AGENTS.md".to_owned()),
            Self::MissMemory => Refusal::NoMemory { agent: "main".to_owned(), path: "/memories/people.md".to_owned() },
            Self::MeetText => Refusal::TextChanged { name: "AGENTS.md".to_owned(), expected: 3, found: 4 },
            Self::MeetRevision => Refusal::ConfigChanged { expected: 3, found: 4 },
            Self::Race => Refusal::Changed("job brief".to_owned()),
            Self::LackConfig => Refusal::Failed(EngineError::Config(FieldError::new("", "", ""))),
            Self::LackTimers => timer().into(),
            Self::LackBlobs => blob.into(),
        })
    }
}

/// A method or a hook, described.
pub(super) struct Operation {
    pub(super) name: &'static str,
    changes: bool,
    summary: String,
    description: String,
    /// Fields its request must have.
    needs: Vec<String>,
    /// Fields its answer may have.
    shows: Vec<String>,
    takes: Value,
    answers: Value,
    faults: Vec<Fault>,
}

impl Operation {
    /// `cron.runGet` is `cronRunGet`, as generated clients like it.
    fn id(&self) -> String {
        let mut parts = self.name.split('.');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |id, part| {
            let (head, tail) = part.split_at_checked(1).unwrap_or((part, ""));
            id + &head.to_ascii_uppercase() + tail
        })
    }

    /// The operation as `OpenAPI` writes it; `all` are those it may lead to.
    pub(super) fn to_json(&self, all: &[Self]) -> Value {
        let mut done = parts::answered("Done.", if self.changes { &[parts::REPLAYED] } else { &[] });
        done["content"] = parts::json_content(&self.answers);
        let links = self.links(all);
        if !links.is_empty() {
            done["links"] = Value::Object(links);
        }
        let mut responses = Map::new();
        responses.insert("200".to_owned(), done);
        responses.append(&mut parts::refusals(&self.faults));
        let mut operation = json!({
            "summary": self.summary,
            "operationId": self.id(),
            "tags": [self.name.split('.').next()],
            "requestBody": { "required": !self.needs.is_empty(), "content": parts::json_content(&self.takes) },
            "responses": responses,
        });
        if !self.description.is_empty() {
            operation["description"] = json!(self.description);
        }
        if self.changes {
            operation["parameters"] = json!([parts::idempotency_key()]);
        }
        operation
    }

    /// Where the id in its answer can be used: every method that needs that id, with what it needs beside.
    fn links(&self, all: &[Self]) -> Map<String, Value> {
        let mut links = Map::new();
        for name in ["jobId", "runId"].into_iter().filter(|name| self.shows.iter().any(|shown| shown == name)) {
            for other in all.iter().filter(|other| other.needs.iter().any(|needed| needed == name)) {
                let body = json!({ name: format!("$response.body#/{name}") });
                let mut link = json!({ "operationId": other.id(), "requestBody": body });
                let rest: Vec<String> =
                    other.needs.iter().filter(|needed| *needed != name).map(|needed| format!("`{needed}`")).collect();
                if !rest.is_empty() {
                    link["description"] = json!(format!("It needs {} too.", rest.join(" and ")));
                }
                links.insert(other.id(), link);
            }
        }
        links
    }
}
