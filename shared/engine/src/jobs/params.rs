//! The small parameters of methods: read like a job's fields, every bad one named.

use nightshift_domain::{FieldError, JobId, RunKey};
use serde_json::{Map, Value};

use super::Refusal;

/// Most rows of a page.
const LIMIT_MOST: u64 = 200;
/// Rows of a page where nobody says.
const LIMIT_DEFAULT: u32 = 50;

/// The parameters of one request.
pub(super) struct Params<'a> {
    map: Option<&'a Map<String, Value>>,
    faults: Vec<FieldError>,
}

impl<'a> Params<'a> {
    /// Takes `input`, which may have no other fields than `known`. `null` is no parameters.
    pub(super) fn new(input: &'a Value, known: &[&str]) -> Self {
        let map = input.as_object();
        let mut faults = Vec::new();
        if map.is_none() && !input.is_null() {
            faults.push(FieldError::new("invalid_request", "body", "the request is not a JSON object"));
        }
        for name in map.into_iter().flat_map(Map::keys).filter(|name| !known.contains(&name.as_str())) {
            let shown = name.escape_debug().to_string();
            let message = format!("\"{shown}\" is not a known field");
            let hint = match known {
                [] => "there are no fields here".to_owned(),
                known => format!("the fields here are {}", known.join(", ")),
            };
            faults.push(FieldError::new("unknown_field", shown, message).hint(hint));
        }
        Self { map, faults }
    }

    /// A field, `null` meaning absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn fault(&mut self, fault: FieldError) {
        self.faults.push(fault);
    }

    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.word(name).filter(|text| !text.is_empty())
    }

    /// A text, trimmed, which may be empty.
    fn word(&mut self, name: &str) -> Option<&'a str> {
        let text = self.get(name)?.as_str();
        if text.is_none() {
            self.fault(FieldError::new("invalid_field", name, format!("{name} is not a text")));
        }
        text.map(str::trim)
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let flag = self.get(name)?.as_bool();
        if flag.is_none() {
            self.fault(FieldError::new("invalid_field", name, format!("{name} is neither true nor false")));
        }
        flag
    }

    pub(super) fn whole(&mut self, name: &str) -> Option<u64> {
        let number = self.get(name)?.as_u64();
        if number.is_none() {
            self.fault(FieldError::new("invalid_field", name, format!("{name} is not a whole number")));
        }
        number
    }

    /// A word, or a list of words under the name's plural.
    pub(super) fn words(&mut self, name: &str, plural: &str, choices: &[&'static str]) -> Vec<&'static str> {
        let mut given = Vec::new();
        given.extend(self.get(name));
        match self.get(plural) {
            None => {}
            Some(Value::Array(items)) => given.extend(items),
            Some(other) => given.push(other),
        }
        let mut known = Vec::new();
        for value in given {
            let word = value.as_str().map(|word| word.trim().to_ascii_lowercase());
            if let Some(choice) = choices.iter().find(|choice| word.as_deref() == Some(**choice)) {
                known.push(*choice);
            } else {
                let shown = word.unwrap_or_else(|| value.to_string());
                let message = format!("\"{}\" is not a {name}", shown.escape_debug());
                let hint = format!("it is one of {}", choices.join(", "));
                self.fault(FieldError::new("invalid_field", name, message).hint(hint));
            }
        }
        known
    }

    /// The page size.
    pub(super) fn limit(&mut self) -> u32 {
        let Some(value) = self.get("limit") else { return LIMIT_DEFAULT };
        let limit =
            value.as_u64().filter(|limit| (1..=LIMIT_MOST).contains(limit)).and_then(|it| u32::try_from(it).ok());
        limit.unwrap_or_else(|| {
            let message = format!("limit is not a whole number from 1 to {LIMIT_MOST}");
            self.fault(FieldError::new("invalid_field", "limit", message));
            LIMIT_DEFAULT
        })
    }

    /// A job's id, under its name of today or `OpenClaw`'s. An empty one is a mistake, not the wish for all jobs.
    pub(super) fn job(&mut self) -> Option<JobId> {
        let text = self.word("jobId").or_else(|| self.word("id"))?;
        self.checked(JobId::parse(text))
    }

    pub(super) fn needed_job(&mut self) -> Option<JobId> {
        let named = self.get("jobId").or_else(|| self.get("id")).is_some();
        let job = self.job();
        if !named || (job.is_none() && self.faults.is_empty()) {
            self.fault(FieldError::new("missing_field", "jobId", "jobId is missing"));
        }
        job
    }

    /// A run's id; an empty one is a mistake.
    pub(super) fn run(&mut self) -> Option<RunKey> {
        let text = self.word("runId")?;
        self.checked(RunKey::parse(text))
    }

    pub(super) fn needed_run(&mut self) -> Option<RunKey> {
        let run = self.run();
        if run.is_none() && self.faults.is_empty() {
            self.fault(FieldError::new("missing_field", "runId", "runId is missing"));
        }
        run
    }

    fn checked<T>(&mut self, read: Result<T, FieldError>) -> Option<T> {
        read.map_err(|fault| self.fault(fault)).ok()
    }

    /// `value`, if nothing was wrong.
    pub(super) fn done<T>(self, value: T) -> Result<T, Refusal> {
        if self.faults.is_empty() { Ok(value) } else { Err(Refusal::Invalid(self.faults)) }
    }

    /// `value`, if nothing was wrong and it is there.
    pub(super) fn needed<T>(self, value: Option<T>) -> Result<T, Refusal> {
        let value = self.done(value)?;
        value.ok_or_else(|| FieldError::new("invalid_request", "body", "the request cannot be read").into())
    }
}
