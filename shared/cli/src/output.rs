//! All printing: data to stdout, everything else to stderr, colour only where a person looks.
//!
//! Nothing here fails: a reader that went away (`nightshift … | head`) is no error of this program.

use std::error::Error as _;
use std::io::{self, IsTerminal as _, Write};

use nightshift_wire::ExitCode;
use serde_json::Value;

use crate::error::ExpectedError;

/// The two streams, and who looks at them.
pub struct Output {
    out: Stream,
    err: Stream,
    /// Whether a progress line stands on stderr, without its line end.
    line_open: bool,
    /// Columns of stdout, where something else than a terminal says so.
    width: Option<u16>,
    /// Whether there was any data.
    told: bool,
}

struct Stream {
    sink: Box<dyn Write + Send>,
    terminal: bool,
    /// Whether it understands that a line is written again.
    moves: bool,
    colour: bool,
}

/// What the environment says about terminals.
#[derive(Debug, Clone, Copy)]
struct Manners {
    /// `NO_COLOR` is there and not empty (no-color.org).
    no_color: bool,
    /// `TERM=dumb`: a terminal without colours and without a way back in a line.
    dumb: bool,
}

impl Manners {
    fn stream(self, sink: Box<dyn Write + Send>, terminal: bool) -> Stream {
        let moves = terminal && !self.dumb;
        Stream { sink, terminal, moves, colour: moves && !self.no_color }
    }
}

/// How something is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Red,
    Yellow,
    Cyan,
    Dim,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Red => "1;31",
            Self::Yellow => "33",
            Self::Cyan => "36",
            Self::Dim => "2",
        }
    }
}

impl Stream {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.sink, "{}", text.trim_end_matches('\n'));
        let _ = self.sink.flush();
    }

    fn paint(&self, ink: Ink, text: &str) -> String {
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", ink.code()) } else { text.to_owned() }
    }
}

impl Output {
    /// This process's own streams.
    pub fn standard() -> Self {
        let manners = Manners {
            no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            dumb: std::env::var_os("TERM").is_some_and(|value| value == "dumb"),
        };
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let terminal = io::stdout().is_terminal();
        Self {
            out: manners.stream(Box::new(io::stdout()), terminal),
            err: manners.stream(Box::new(io::stderr()), io::stderr().is_terminal()),
            line_open: false,
            width: columns.filter(|columns| !terminal && *columns > 0),
            told: false,
        }
    }

    /// Streams nobody looks at, without colour and of any width.
    pub fn plain(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        let manners = Manners { no_color: true, dumb: true };
        let (out, err) = (manners.stream(Box::new(out), false), manners.stream(Box::new(err), false));
        Self { out, err, line_open: false, width: None, told: false }
    }

    /// The same, `columns` wide.
    #[must_use]
    pub fn within(self, columns: u16) -> Self {
        Self { width: Some(columns), ..self }
    }

    /// Whether stdout is for a person: a terminal, or something as wide as one.
    pub fn is_looked_at(&self) -> bool {
        self.out.terminal || self.width().is_some()
    }

    /// How wide stdout is, where something else than a terminal says so: `COLUMNS`.
    pub fn width(&self) -> Option<u16> {
        self.width
    }

    /// Whether stdout is a terminal.
    pub fn out_is_terminal(&self) -> bool {
        self.out.terminal
    }

    /// Whether stdout takes colour.
    pub fn out_has_colour(&self) -> bool {
        self.out.colour
    }

    /// Whether stderr takes a line that changes.
    pub fn err_takes_progress(&self) -> bool {
        self.err.moves
    }

    /// Data.
    pub fn data(&mut self, text: &str) {
        self.finish_line();
        self.told = true;
        self.out.line(text);
    }

    /// Data byte for byte, so that it can be sent back unchanged; a terminal is given the line end it lacks.
    pub fn exact(&mut self, text: &str) {
        self.finish_line();
        self.told = true;
        let end = if self.out_is_terminal() && !text.ends_with('\n') { "\n" } else { "" };
        let _ = write!(self.out.sink, "{text}{end}");
        let _ = self.out.sink.flush();
    }

    /// Data, as indented JSON.
    pub fn json(&mut self, value: &Value) {
        self.data(&format!("{value:#}"));
    }

    /// A line about what is going on.
    pub fn say(&mut self, text: &str) {
        self.finish_line();
        self.err.line(text);
    }

    /// The same, set back.
    pub fn aside(&mut self, text: &str) {
        let text = self.err.paint(Ink::Dim, text);
        self.say(&text);
    }

    /// Something worth knowing.
    pub fn note(&mut self, text: &str) {
        let label = self.err.paint(Ink::Yellow, "note:");
        self.say(&format!("{label} {text}"));
    }

    /// What to do next.
    pub fn hint(&mut self, text: &str) {
        let label = self.err.paint(Ink::Cyan, "hint:");
        self.say(&format!("{label} {text}"));
    }

    /// What went wrong.
    pub fn error(&mut self, text: &str) {
        let label = self.err.paint(Ink::Red, "error:");
        self.say(&format!("{label} {text}"));
    }

    /// What went wrong, with all that is known about it.
    pub fn expected(&mut self, error: &ExpectedError) {
        let fields = error.fields();
        for (at, fault) in fields.iter().enumerate() {
            self.error(&fault.to_string());
            // Neighbours often have the same one.
            if let Some(hint) = &fault.hint
                && fields.get(at + 1).and_then(|next| next.hint.as_ref()) != Some(hint)
            {
                self.hint(hint);
            }
        }
        if fields.is_empty() {
            if let ExpectedError::Api(failure) = error {
                let body = &failure.body.error;
                match &body.field {
                    Some(field) => self.error(&format!("{field}: {}", body.message)),
                    None => self.error(&body.message),
                }
            } else if let ExpectedError::Unreachable { source, .. } = error {
                // What is between names the parts of an HTTP client.
                let root = std::iter::successors(source.source(), |&cause| cause.source()).last();
                let root = root.map_or_else(|| source.to_string(), ToString::to_string);
                self.error(&format!("{error}: {root}"));
            } else {
                let causes = std::iter::successors(error.source(), |&cause| cause.source());
                let chain = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
                self.error(&chain);
            }
            if let Some(hint) = error.hint() {
                self.hint(&hint);
            }
        }
        if let ExpectedError::Api(failure) = error
            && failure.status >= 500
        {
            self.aside(&format!("request {}", failure.body.request_id));
        }
    }

    /// What went wrong, for a program that asked for JSON: on stdout, unless the answer stands there already.
    pub fn error_as_json(&mut self, error: &Value) {
        if !self.told {
            self.json(error);
        }
    }

    /// What clap has to say: help and version are data, errors are not.
    pub fn clap(&mut self, error: &clap::Error) -> ExitCode {
        let rendered = error.render();
        let (stream, exit) =
            if error.use_stderr() { (&mut self.err, ExitCode::Usage) } else { (&mut self.out, ExitCode::Ok) };
        let text = if stream.colour { rendered.ansi().to_string() } else { rendered.to_string() };
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        stream.line(&lines.join("\n"));
        exit
    }

    /// Shows `text` as the progress line, in place of the one before. For a terminal only.
    pub fn progress(&mut self, text: &str) {
        let _ = write!(self.err.sink, "\r\u{1b}[2K{text}");
        let _ = self.err.sink.flush();
        self.line_open = true;
    }

    /// Takes the progress line away.
    pub fn finish_line(&mut self) {
        if self.line_open {
            let _ = write!(self.err.sink, "\r\u{1b}[2K");
            let _ = self.err.sink.flush();
            self.line_open = false;
        }
    }

    /// Asks on the terminal; `None` when there is nobody to ask.
    pub fn ask(&mut self, question: &str) -> Option<bool> {
        if !(self.err.terminal && io::stdin().is_terminal()) {
            return None;
        }
        let _ = write!(self.err.sink, "{question} [y/N] ");
        let _ = self.err.sink.flush();
        let mut answer = String::new();
        let _ = io::stdin().read_line(&mut answer);
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_that_has_it_and_somebody_who_wants_it() {
        let seen = |no_color, dumb, terminal| {
            let stream = Manners { no_color, dumb }.stream(Box::new(io::sink()), terminal);
            (stream.colour, stream.moves)
        };
        assert_eq!(seen(false, false, true), (true, true));
        assert_eq!(seen(true, false, true), (false, true));
        assert_eq!(seen(false, true, true), (false, false));
        assert_eq!(seen(false, false, false), (false, false));
    }
}
