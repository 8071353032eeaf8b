use super::*;

#[test]
fn an_empty_script_is_the_default_and_survives_a_round_trip() {
    let script = Script::from_json("{}").unwrap();
    assert_eq!(script, Script::default());
    assert_eq!(script.batch_duration_ms, 60_000);
    assert_eq!(Script::from_json(&serde_json::to_string(&script).unwrap()).unwrap(), script);
}

#[test]
fn a_misspelt_field_is_named_in_the_error() {
    for (text, word) in [
        (r#"{"batchDuration": 5}"#, "batchDuration"),
        (r#"{"replies": [{"match": "x", "txt": "y"}]}"#, "txt"),
        (r#"{"faults": [{"on": "create", "do": "explode"}]}"#, "explode"),
    ] {
        assert!(Script::from_json(text).unwrap_err().to_string().contains(word), "{text}");
    }
}

#[test]
fn a_script_that_contradicts_itself_is_refused() {
    for text in [
        r#"{"replies": [{"match": "x"}]}"#,
        r#"{"replies": [{"text": "a", "row": "expired"}]}"#,
        r#"{"replies": [{"row": "expired", "error": {"status": 500}}]}"#,
        r#"{"replies": [{"content": [{"text": "no type"}]}]}"#,
        r#"{"replies": [{"error": {"status": 200}}]}"#,
        r#"{"replies": [{"row": "expired", "streamError": {"type": "overloaded_error"}}]}"#,
        r#"{"mcpOrigins": {"http://a.example": "http://127.0.0.1:1"}}"#,
        r#"{"mcpOrigins": {"https://a.example/mcp": "http://127.0.0.1:1"}}"#,
        r#"{"mcpOrigins": {"https://a.example": "http://b.example:1"}}"#,
        r#"{"faults": [{"on": "list", "do": "status"}]}"#,
        r#"{"faults": [{"on": "list", "do": "delay"}]}"#,
        r#"{"faults": [{"on": "list", "do": "lose_answer", "status": 500}]}"#,
        r#"{"faults": [{"on": "list", "do": "lose_answer", "nth": 0}]}"#,
        r#"{"faults": [{"on": "list", "do": "status", "status": 429, "headers": {"retry after": "2"}}]}"#,
    ] {
        assert!(Script::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn a_fault_strikes_its_calls_and_no_others() {
    let text = r#"{"faults": [{"on": "create", "nth": 2, "times": 2, "do": "lose_answer"}]}"#;
    let script = Script::from_json(text).unwrap();
    let struck: Vec<u64> = (1..6).filter(|call| script.fault(Target::Create, *call).is_some()).collect();
    assert_eq!(struck, [2, 3]);
    assert!(script.fault(Target::List, 2).is_none());
}

#[test]
fn replies_are_tried_in_order_until_used_up() {
    let text = r#"{"replies": [{"match": "cat", "times": 1, "text": "a"}, {"match": "dog", "row": "expired"}, {"text": "b"}]}"#;
    let script = Script::from_json(text).unwrap();
    let pick = |text: &str, in_batch, uses: &[u32]| {
        let asked = Asked { text: text.to_owned(), ..Asked::default() };
        script.reply(&asked, in_batch, uses).map(|found| found.0)
    };
    assert_eq!(pick("a cat", false, &[0, 0, 0]), Some(0));
    assert_eq!(pick("a cat", false, &[1, 0, 0]), Some(2));
    assert_eq!(pick("a dog", true, &[0, 0, 0]), Some(1));
    assert_eq!(pick("a dog", false, &[0, 0, 0]), Some(2));
}

#[test]
fn a_reply_may_be_for_those_who_offer_a_tool() {
    let script = Script::from_json(r#"{"replies": [{"offers": "memory", "text": "a"}, {"text": "b"}]}"#).unwrap();
    let pick = |offered: &[&'static str]| {
        let asked = Asked { offered: offered.to_vec(), ..Asked::default() };
        script.reply(&asked, false, &[0, 0]).map(|found| found.0)
    };
    assert_eq!((pick(&["cron", "memory"]), pick(&["cron"]), pick(&[])), (Some(0), Some(1), Some(1)));
}

#[test]
fn a_share_of_hits_is_a_share() {
    for bad in ["-0.1", "1.5"] {
        let error = Script::from_json(&format!(r#"{{"batchCacheHits": {bad}}}"#)).unwrap_err();
        assert!(error.to_string().contains("from 0 to 1"), "{error}");
    }
    assert!((Script::from_json(r#"{"batchCacheHits": 0.3}"#).unwrap().batch_cache_hits - 0.3).abs() < f64::EPSILON);
}

#[test]
fn a_reply_waits_for_its_hop_and_its_tool() {
    let text =
        r#"{"replies": [{"hop": 1, "text": "a"}, {"afterTool": "memory", "match": "x", "text": "b"}, {"text": "c"}]}"#;
    let script = Script::from_json(text).unwrap();
    let pick = |text: &str, after: &[&'static str], hop| {
        let asked = Asked { text: text.to_owned(), after: after.to_vec(), hop, ..Asked::default() };
        script.reply(&asked, false, &[0, 0, 0]).map(|found| found.0)
    };
    assert_eq!(pick("x", &[], 0), Some(2));
    assert_eq!(pick("x", &["memory"], 1), Some(0));
    assert_eq!(pick("x", &["cron", "memory"], 2), Some(1));
    assert_eq!(pick("y", &["memory"], 2), Some(2));
}
