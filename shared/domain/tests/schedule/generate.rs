//! Zones and expressions the properties are tried on.

use proptest::prelude::*;
use proptest::sample::select;

/// Zones with every oddity the zone data has for the years ahead: clocks that move by half an hour and by two, at
/// midnight, in the middle of an hour and twice a year around Ramadan, "negative" daylight saving time, offsets of
/// quarters of an hour and of fourteen hours, and zones that gave their changes up.
pub(crate) const ZONES: [&str; 24] = [
    "UTC",
    "America/New_York",
    "America/Havana",
    "America/Nuuk",
    "America/Santiago",
    "America/St_Johns",
    "Pacific/Easter",
    "Atlantic/Azores",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Berlin",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
];

fn list(range: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = String> {
    let join = |set: std::collections::BTreeSet<u32>| set.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    prop::collection::btree_set(range, 1..4).prop_map(join)
}

fn minutes() -> impl Strategy<Value = String> {
    prop_oneof![Just("*".to_owned()), (1_u32..40).prop_map(|n| format!("*/{n}")), list(0..=59), Just("0".to_owned())]
}

fn hours() -> impl Strategy<Value = String> {
    let night = (0_u32..4).prop_map(|hour| hour.to_string());
    prop_oneof![Just("*".to_owned()), (1_u32..9).prop_map(|n| format!("*/{n}")), list(0..=23), night]
}

fn days_of_month() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("*".to_owned()),
        1 => list(1..=31),
        1 => (1_u32..=31).prop_map(|day| format!("{day}W")),
        1 => (0_u32..5).prop_map(|week| format!("{}-{}", week * 7 + 1, (week * 7 + 7).min(31))),
        1 => select(vec!["L", "LW", "L,15", "1-31", "*/2", "1W,L"]).prop_map(str::to_owned),
    ]
}

fn days_of_week() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        list(0..=7),
        (0_u32..=7, 1_u32..=5).prop_map(|(day, nth)| format!("{day}#{nth}")),
        (0_u32..=7).prop_map(|day| format!("{day}L")),
        select(vec!["MON-FRI", "1#1,5L", "MON-WED#2", "0-6", "1#1,3"]).prop_map(str::to_owned),
    ];
    prop_oneof![3 => Just("*".to_owned()), 2 => plain.clone(), 1 => plain.prop_map(|day| format!("+{day}"))]
}

fn months() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just("*".to_owned()), 1 => list(1..=12), 1 => Just("*/3".to_owned())]
}

/// Five fields, with all that croner takes in them.
pub(crate) fn expressions() -> impl Strategy<Value = String> {
    (minutes(), hours(), days_of_month(), months(), days_of_week())
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

/// The same with seconds in front.
pub(crate) fn expressions_with_seconds() -> impl Strategy<Value = String> {
    let seconds = prop_oneof![list(0..=59), (7_u32..40).prop_map(|n| format!("*/{n}")), Just("0".to_owned())];
    (seconds, expressions()).prop_map(|(seconds, rest)| format!("{seconds} {rest}"))
}
