//! One field of a cron expression as the ascending list of its values.

/// What a field may hold.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) low: u32,
    pub(super) high: u32,
    /// Names of the values from `low` on; empty where only numbers are allowed.
    pub(super) names: &'static [&'static str],
}

pub(super) const MINUTES: Field = Field { low: 0, high: 59, names: &[] };
pub(super) const HOURS: Field = Field { low: 0, high: 23, names: &[] };
pub(super) const DAYS_OF_MONTH: Field = Field { low: 1, high: 31, names: &[] };
pub(super) const MONTHS: Field = Field {
    low: 1,
    high: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// 1 is Sunday.
pub(super) const DAYS_OF_WEEK: Field =
    Field { low: 1, high: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
pub(super) const YEARS: Field = Field { low: 1970, high: 2199, names: &[] };

/// Digits only: no sign, no space.
pub(super) fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

impl Field {
    /// A list of `*`, `n`, `a-b`, each with an optional `/step`; `n/step` runs to the end of the field.
    pub(super) fn parse(&self, text: &str) -> Option<Vec<u32>> {
        let mut values = Vec::new();
        for item in text.split(',') {
            values.extend(self.item(item)?);
        }
        values.sort_unstable();
        values.dedup();
        Some(values)
    }

    /// A single number or name.
    pub(super) fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| *name == text).and_then(|at| u32::try_from(at).ok());
        let value = match named {
            Some(at) => self.low + at,
            None => number(text)?,
        };
        (self.low..=self.high).contains(&value).then_some(value)
    }

    fn item(&self, text: &str) -> Option<impl Iterator<Item = u32> + use<>> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| (1..=self.high).contains(step))?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.high),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None => {
                let first = self.value(range)?;
                (first, if step.is_some() { self.high } else { first })
            }
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        (first <= last).then(|| (first..=last).step_by(step))
    }
}
