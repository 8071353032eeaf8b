//! An action in DynamoDB's words.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use aws_smithy_types::error::operation::BuildError;

use crate::item::Attributes;
use crate::keys::Key;
use crate::plan::{Action, Change, Guard};
use crate::schema::{PK, SK, TTL};
use crate::tally::{BORN, COUNTED, Expected, NUMBER};

/// What a failed condition tells about the row it failed on.
pub(crate) const ON_FAILURE: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// Placeholders of an expression. Names are always placeholders, because half of ours are reserved words.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    names: HashMap<String, String>,
    values: Attributes,
}

impl Terms {
    /// A placeholder for the attribute `name`.
    pub(crate) fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// A placeholder called `name` for `value`.
    pub(crate) fn value(&mut self, name: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{name}");
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// The names, or nothing at all: DynamoDB refuses an empty map.
    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    /// The values, or nothing at all.
    pub(crate) fn values(&self) -> Option<Attributes> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

/// A row whose time is over, though DynamoDB has not removed it yet.
pub(crate) fn expired(terms: &mut Terms, now: i64) -> String {
    let (ttl, now) = (terms.name(TTL), terms.value("now", number(now)));
    format!("{ttl} < {now}")
}

/// A row that is still to be shown.
pub(crate) fn visible(terms: &mut Terms, now: i64) -> String {
    let (ttl, now) = (terms.name(TTL), terms.value("now", number(now)));
    format!("(attribute_not_exists({ttl}) OR {ttl} >= {now})")
}

/// The condition behind `guard`.
pub(crate) fn condition(guard: &Guard, terms: &mut Terms, now: i64) -> Option<String> {
    let vacant = |terms: &mut Terms| {
        let pk = terms.name(PK);
        format!("attribute_not_exists({pk}) OR {}", expired(terms, now))
    };
    match guard {
        Guard::None => None,
        Guard::Absent => Some(vacant(terms)),
        Guard::Rev(rev) => {
            let (name, value) = (terms.name("rev"), terms.value("rev", number(*rev)));
            Some(format!("{name} = {value}"))
        }
        Guard::Counted(Expected { rev, born, counted, .. }) => {
            let (name, value) = (terms.name("rev"), terms.value("rev", number(*rev)));
            let remark = terms.name(COUNTED);
            let said = match counted.remark() {
                None => format!("attribute_not_exists({remark})"),
                Some(said) => format!("{remark} = {}", terms.value(COUNTED, AttributeValue::S(said.to_owned()))),
            };
            let own = born.as_ref().map(|born| {
                let born = terms.value(BORN, AttributeValue::S(born.clone()));
                format!(" AND {} = {born}", terms.name(BORN))
            });
            Some(format!("{name} = {value} AND {said}{}", own.unwrap_or_default()))
        }
        Guard::AtMost(most) => {
            let (name, most) = (terms.name(NUMBER), terms.value("most", number(*most)));
            Some(format!("{name} <= {most}"))
        }
        Guard::Vacant => {
            let pk = terms.name(PK);
            Some(format!("attribute_not_exists({pk})"))
        }
        Guard::Target(target) => {
            let (name, value) = (terms.name("target"), terms.value("target", AttributeValue::S(target.clone())));
            Some(format!("{} OR {name} = {value}", vacant(terms)))
        }
    }
}

/// What an update does to the row; `None` for a put or a delete.
pub(crate) fn update(change: &Change, terms: &mut Terms) -> Option<String> {
    match change {
        Change::Put(_) | Change::Delete => None,
        Change::Add { by, set } => {
            let mut names: Vec<&String> = set.keys().collect();
            names.sort_unstable();
            let mut say = |name: &String| format!("{} = {}", terms.name(name), terms.value(name, set[name].clone()));
            let said = names.into_iter().map(&mut say).collect::<Vec<_>>().join(", ");
            let mut sum = |(name, by): &(&str, i64)| format!("{} {}", terms.name(name), terms.value(name, number(*by)));
            let sums = by.iter().map(&mut sum).collect::<Vec<_>>().join(", ");
            let parts = [("SET", said), ("ADD", sums)].map(|(word, what)| format!("{word} {what}"));
            Some(parts.into_iter().filter(|part| part.len() > "SET ".len()).collect::<Vec<_>>().join(" "))
        }
        Change::Ensure(attributes) => {
            let mut names: Vec<&String> = attributes.keys().filter(|name| *name != PK && *name != SK).collect();
            names.sort_unstable();
            let mut keep = |name: &String| {
                let (attribute, value) = (terms.name(name), terms.value(name, attributes[name].clone()));
                format!("{attribute} = if_not_exists({attribute}, {value})")
            };
            Some(format!("SET {}", names.into_iter().map(&mut keep).collect::<Vec<_>>().join(", ")))
        }
    }
}

/// The primary key as attributes.
pub(crate) fn key(key: &Key) -> Attributes {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    Attributes::from([(PK.to_owned(), text(&key.pk)), (SK.to_owned(), text(&key.sk))])
}

/// A member of a transaction.
pub(crate) fn transact(table: &str, action: &Action, now: i64) -> Result<TransactWriteItem, BuildError> {
    let mut terms = Terms::default();
    let condition = condition(&action.guard, &mut terms, now);
    let update = update(&action.change, &mut terms);
    let (names, values) = (terms.names(), terms.values());
    let item = TransactWriteItem::builder();
    let item = match &action.change {
        Change::Put(row) => item.put(
            Put::builder()
                .table_name(table)
                .set_item(Some(row.clone()))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(ON_FAILURE)
                .build()?,
        ),
        Change::Delete => item.delete(
            Delete::builder()
                .table_name(table)
                .set_key(Some(key(&action.key)))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(ON_FAILURE)
                .build()?,
        ),
        Change::Ensure(_) | Change::Add { .. } => item.update(
            Update::builder()
                .table_name(table)
                .set_key(Some(key(&action.key)))
                .set_update_expression(update)
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .build()?,
        ),
    };
    Ok(item.build())
}

/// A number of ours as an attribute.
pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}
