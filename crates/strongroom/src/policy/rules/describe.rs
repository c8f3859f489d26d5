//! The policy as `GET /v1/policy` answers it: what an integrating developer needs to know, with
//! the titles people see.

use serde_json::{Map, Value, json};

use crate::policy::model::{Field, FieldKind, Grant, Policy};

/// An overview with names and titles; stable in its order, so equal policies give equal JSON.
pub fn describe(policy: &Policy) -> Value {
    let business = policy.business();
    let relations = policy.relations().iter().map(|(name, relation)| {
        json!({
            "name": name.as_str(),
            "title": relation.title,
            "keep": relation.keep.to_string(),
            "basis": relation.basis,
        })
    });
    let records = policy.records().iter().map(|(name, record)| {
        let of_kind = |field: &str| format!("{name}.{field}");
        let fields = record.fields.iter();
        let fields = fields.map(|(field, it)| describe_field(&of_kind(field.as_str()), it));
        json!({
            "name": name.as_str(),
            "title": record.title,
            "relation": record.relation.as_str(),
            "fixed": record.fixed,
            "fields": fields.collect::<Value>(),
        })
    });
    let purposes = policy
        .purposes()
        .iter()
        .map(|(name, purpose)| json!({ "name": name.as_str(), "title": purpose.title, "needs_consent": purpose.needs_consent }));
    let roles = policy.roles().iter().map(|(name, role)| {
        json!({ "name": name.as_str(), "title": role.title, "may": words(&role.may, |right| right.as_str()) })
    });
    json!({
        "business": {
            "name": business.name,
            "timezone": business.timezone_name,
            "erase_grace": business.erase_grace.to_string(),
            "country": business.country.map(|country| country.as_str().to_owned()),
        },
        "relations": relations.collect::<Value>(),
        "fields": policy.fields().iter().map(|(name, field)| describe_field(name.as_str(), field)).collect::<Value>(),
        "records": records.collect::<Value>(),
        "purposes": purposes.collect::<Value>(),
        "roles": roles.collect::<Value>(),
        "grants": policy.grants().iter().map(describe_grant).collect::<Value>(),
        "outlets": policy.outlets().iter().map(|(name, outlet)| json!({
            "name": name.as_str(),
            "title": outlet.title,
            "purpose": outlet.purpose.as_str(),
            "fields": words(&outlet.fields, |field| field.as_str()),
            "to": outlet.to.as_str(),
            "budget": { "per_day": outlet.per_day },
        })).collect::<Value>(),
    })
}

fn describe_field(name: &str, field: &Field) -> Value {
    let mut members = Map::new();
    let mut put = |key: &str, value: Value| members.insert(key.to_owned(), value);
    put("name", name.into());
    put("title", field.title.as_str().into());
    put("type", field.kind.as_str().into());
    put("class", field.class.as_str().into());
    put("needed_for", words(&field.needed_for, |relation| relation.as_str()));
    put("find", field.find.as_str().into());
    match &field.kind {
        FieldKind::Choice { choices } => {
            put("choices", choices.as_slice().into());
        }
        FieldKind::NationalId { country } => {
            put("country", country.as_str().into());
        }
        FieldKind::Text { size_max } => {
            put("size_max", (*size_max).into());
        }
        _ => {}
    }
    Value::Object(members)
}

fn describe_grant(grant: &Grant) -> Value {
    json!({
        "role": grant.role.as_str(),
        "purpose": grant.purpose.as_str(),
        "fields": words(&grant.fields, |field| field.as_str()),
        "find": words(&grant.find, |field| field.as_str()),
        "see": grant.see.as_str(),
        "budget": grant.budget.map(|budget| json!({ "per_day": budget.per_day })),
        "reveal": grant.reveal.as_ref().map(|reveal| json!({
            "needs": "reason",
            "reasons": reveal.reasons,
            "per_day": reveal.per_day,
        })),
    })
}

fn words<'w, T>(items: impl IntoIterator<Item = &'w T>, word: impl Fn(&'w T) -> &'w str) -> Value
where
    T: 'w,
{
    items.into_iter().map(word).collect()
}
