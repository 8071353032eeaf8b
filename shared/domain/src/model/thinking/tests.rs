//! Every level on every model.

use super::*;
use crate::model::built_in;

/// A realtime hop, a batched one, one of a model that answers briefly, and ones too short to think in.
const HOPS: [u64; 5] = [16_000, 64_000, 4096, 2048, 2000];

/// What the API takes (Messages API, `thinking` and `output_config.effort`, by model; facts of 2026-11-20). Written down
/// apart from the code that has to obey it.
fn accepts(model: &str, chosen: &Chosen, max_tokens: u64) -> bool {
    let all = ["low", "medium", "high", "xhigh", "max"];
    let (kinds, efforts): (&[&str], &[&str]) = match model {
        "claude-fable-5-2" | "claude-fable-5-1" | "claude-fable-5" | "claude-opus-5-5" => (&["adaptive"], &all),
        "claude-sonnet-5-5" => (&["adaptive", "between_tools"], &all),
        "claude-haiku-5-5" | "claude-opus-5" | "claude-sonnet-5" | "claude-opus-4-8" | "claude-opus-4-7" => {
            (&["adaptive", "disabled"], &all)
        }
        "claude-opus-4-6" | "claude-sonnet-4-6" => {
            (&["adaptive", "enabled", "disabled"], &["low", "medium", "high", "max"])
        }
        "claude-opus-4-5" => (&["enabled", "disabled"], &all[..3]),
        "claude-sonnet-4-5" | "claude-haiku-4-5" => (&["enabled", "disabled"], &[]),
        other => panic!("{other}"),
    };
    let effort = chosen.effort.as_deref();
    let mode = match chosen.mode {
        None => true,
        Some(ThinkingMode::Adaptive) => kinds.contains(&"adaptive"),
        Some(ThinkingMode::Disabled) => {
            kinds.contains(&"disabled") && !(model == "claude-opus-5" && matches!(effort, Some("xhigh" | "max")))
        }
        Some(ThinkingMode::Enabled { budget_tokens }) => {
            kinds.contains(&"enabled") && budget_tokens >= 1024 && budget_tokens < max_tokens
        }
    };
    mode && effort.is_none_or(|effort| efforts.contains(&effort))
}

const MODELS: [&str; 15] = [
    "claude-fable-5-2",
    "claude-fable-5-1",
    "claude-fable-5",
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-opus-4-5",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
];

#[test]
fn no_level_on_any_model_is_ever_refused() {
    for model in MODELS {
        let info = built_in(model).unwrap();
        for max_tokens in HOPS {
            for (name, level) in Thinking::WORDS {
                let chosen = thinking_for(Some(level), &info, max_tokens);
                assert!(accepts(model, &chosen, max_tokens), "{name} on {model} in {max_tokens}: {chosen:?}");
            }
            assert_eq!(thinking_for(None, &info, max_tokens), Chosen::default());
        }
    }
}

/// As one line: effort, mode, and `!` where there is a note.
fn line(chosen: &Chosen) -> String {
    let mode = match chosen.mode {
        None => "-".to_owned(),
        Some(ThinkingMode::Adaptive) => "adaptive".to_owned(),
        Some(ThinkingMode::Disabled) => "disabled".to_owned(),
        Some(ThinkingMode::Enabled { budget_tokens }) => budget_tokens.to_string(),
    };
    let note = if chosen.notes.is_empty() { "" } else { "!" };
    format!("{} {mode}{note}", chosen.effort.as_deref().unwrap_or("-"))
}

#[test]
fn every_level_on_every_model_is_what_the_table_says() {
    // off, minimal, low, medium, high, xhigh, max, adaptive; each in a realtime hop of 16,000 tokens.
    let steered =
        ["low adaptive!", "low adaptive", "medium adaptive", "high adaptive", "xhigh adaptive", "max adaptive"];
    let four_six =
        ["low adaptive!", "low adaptive", "medium adaptive", "high adaptive", "high adaptive!", "max adaptive"];
    let budgeted = ["- 1024", "- 4096", "- 8192", "- 11904!", "- 11904!", "- 11904"];
    let both = ["low 1024!", "low 4096", "medium 8192", "high 11904!", "high 11904!", "high 11904!"];
    for model in MODELS {
        let (off, levels, adaptive) = match model {
            "claude-opus-4-6" | "claude-sonnet-4-6" => ("- disabled", four_six, "- adaptive"),
            "claude-opus-4-5" => ("- disabled", both, "- -!"),
            "claude-sonnet-4-5" | "claude-haiku-4-5" => ("- disabled", budgeted, "- -!"),
            "claude-haiku-5-5" | "claude-opus-5" | "claude-sonnet-5" | "claude-opus-4-8" | "claude-opus-4-7" => {
                ("- disabled", steered, "- adaptive")
            }
            _ => ("low -!", steered, "- adaptive"),
        };
        let info = built_in(model).unwrap();
        let expected = [&[off][..], &levels, &[adaptive]].concat();
        let found = Thinking::WORDS.map(|(_, level)| line(&thinking_for(Some(level), &info, 16_000)));
        assert_eq!(found.to_vec(), expected, "{model}");
    }
}

fn info(efforts: &[&str], thinking: &[&str]) -> ModelInfo {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    ModelInfo { id: "m".into(), efforts: words(efforts), thinking: words(thinking), ..ModelInfo::default() }
}

#[test]
fn a_level_the_model_lacks_says_what_it_became() {
    let notes = |level, info: &ModelInfo, max_tokens| thinking_for(Some(level), info, max_tokens).notes;
    let three = info(&["low", "medium", "high"], &[]);
    assert_eq!(notes(Thinking::Max, &three, 1), ["thinking max is effort high on m"]);
    assert_eq!(notes(Thinking::Off, &three, 1), ["thinking off is effort low on m"]);
    assert_eq!(
        notes(Thinking::Off, &info(&[], &["adaptive"]), 1),
        ["m cannot be kept from thinking: thinking off has no effect"]
    );
    let budget = info(&[], &["enabled"]);
    assert_eq!(
        notes(Thinking::High, &budget, 8000),
        ["thinking high is a budget of 4000 tokens on m: a hop has 8000 tokens at most"]
    );
    assert_eq!(notes(Thinking::High, &budget, 64_000), [""; 0]);
    assert_eq!(
        notes(Thinking::Low, &budget, 2000),
        ["m has no room to think: thinking low needs more than the 2000 tokens of a hop"]
    );
    assert_eq!(notes(Thinking::Low, &info(&[], &["disabled"]), 9), ["m does not think: thinking low has no effect"]);
    assert_eq!(
        notes(Thinking::Low, &info(&[], &["adaptive"]), 9),
        ["m knows no efforts: it thinks as much as it finds right"]
    );
    for (word, level) in Thinking::WORDS {
        let nothing = thinking_for(Some(level), &info(&[], &[]), 16_000);
        let note = format!("thinking {word} is not sent: nothing is known of how m thinks");
        assert_eq!(nothing, Chosen { notes: vec![note], ..Chosen::default() });
    }
}

#[test]
fn another_providers_words_for_little_and_none_are_used_where_a_model_has_them() {
    let model = info(&["none", "minimal", "high"], &[]);
    let effort = |level| line(&thinking_for(Some(level), &model, 16_000));
    assert_eq!(effort(Thinking::Off), "none -");
    assert_eq!(effort(Thinking::Minimal), "minimal -");
    assert_eq!(effort(Thinking::Medium), "minimal -!");
    let coarse = info(&["none", "high"], &[]);
    assert_eq!(line(&thinking_for(Some(Thinking::Low), &coarse, 16_000)), "high -!", "a level is never none at all");
}

#[test]
fn a_budget_shrinks_with_the_hop_it_is_sent_in() {
    let budget = |tokens: u64, max_tokens| ThinkingMode::Enabled { budget_tokens: tokens }.within(max_tokens);
    assert_eq!(budget(32_768, 16_000), ThinkingMode::Enabled { budget_tokens: 11_904 });
    assert_eq!(budget(4096, 16_000), ThinkingMode::Enabled { budget_tokens: 4096 });
    assert_eq!(budget(4096, 2000), ThinkingMode::Disabled);
    for mode in [ThinkingMode::Adaptive, ThinkingMode::Disabled] {
        assert_eq!(mode.within(10), mode);
    }
}
