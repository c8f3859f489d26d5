//! Every mistake in a policy file, with the words it is answered with.

use super::*;

#[test]
fn each_mistake_is_named_with_line_cause_and_cure() {
    parsed(SMALL);
    for (old, new, expected) in BAD {
        assert!(SMALL.contains(old), "nothing to replace: {old}");
        let problems = parse(&SMALL.replacen(old, new, 1)).expect_err(expected);
        let problems = problems.iter().map(Problem::to_string).collect::<Vec<_>>();
        let found = problems.iter().any(|problem| problem.starts_with(expected));
        assert!(found, "expected: {expected}\nfound:\n{}", problems.join("\n"));
    }
}

/// What is replaced, by what, and the problem that follows.
const BAD: &[(&str, &str, &str)] = &[
    // Sections and keys.
    (
        "[purpose.",
        "[porpose.",
        "line 13: `porpose` is not a key known in the policy: did you mean `purpose`?",
    ),
    // Outlets.
    (
        "[purpose.support]",
        "[outlet.news]\npurpose = \"support\"\nfields = [\"email\"]\nto = \"fax\"\n[purpose.support]",
        "line 16: `to` of outlet `news` is `fax`: write `smtp`, or an address",
    ),
    (
        "[purpose.support]",
        "[outlet.news]\npurpose = \"suport\"\nfields = [\"email\"]\nto = \"smtp\"\n[purpose.support]",
        "line 14: `suport` is not a purpose known in outlet `news`: did you mean `support`?",
    ),
    // Records.
    (
        "[purpose.support]",
        "[record.invoice]\nfields = { number = \"text\" }\n[purpose.support]",
        "line 13: record `invoice` has no `relation`: add",
    ),
    (
        "[purpose.support]",
        "[record.invoice]\nrelation = \"sal\"\nfields = { number = \"text\" }\n[purpose.support]",
        "line 14: `sal` is not a relation known in record `invoice`: did you mean `sale`?",
    ),
    (
        "[purpose.support]",
        "[record.invoice]\nrelation = \"sale\"\nfields = {}\n[purpose.support]",
        "line 15: record `invoice` has no fields: name at least one",
    ),
    (
        "[purpose.support]",
        "[record.invoice]\nrelation = \"sale\"\nfields = { number = \"txt\" }\n[purpose.support]",
        "line 15: `txt` is not a type known in field `number` of record `invoice`: did you mean",
    ),
    (
        "[purpose.support]",
        "[record.invoice]\nrelation = \"sale\"\nfields = { kind = \"choice\" }\n[purpose.support]",
        "line 15: field `kind` of record `invoice` has type `choice`, which needs more: write",
    ),
    (
        "[purpose.support]",
        "[record.invoice]\nrelation = \"sale\"\nfields = { kind = 3 }\n[purpose.support]",
        "line 15: field `kind` of record `invoice` is a number: write its type",
    ),
    (
        "[purpose.support]",
        "[record.invoice]\nrelation = \"sale\"\nfixed = \"no\"\nfields = { n = \"text\" }\n\
         [purpose.support]",
        "line 15: `fixed` of record `invoice` is neither yes nor no: write `fixed = true`",
    ),
    (
        "[purpose.support]",
        "[record.invoice]\nrelation = \"sale\"\nfields = { n = { type = \"text\", find = \"exact\" } }\n\
         [purpose.support]",
        "line 15: `find` is not in this version: take it out",
    ),
    (
        "[purpose.support]",
        "[record.Invoice]\nrelation = \"sale\"\nfields = { \"a.b\" = \"text\" }\n[purpose.support]",
        "line 13: `Invoice` is not a name: use lower-case letters",
    ),
    (
        "fields = [\"email\"]",
        "fields = [\"invoice.number\"]",
        "line 19: `invoice.number` is not a field known in the policy: known are",
    ),
    (
        "[business]\n",
        "[business]\nlogo = 1\n",
        "line 2: `logo` is not a key known in `[business]`: known are `country`, `erase_grace`, `name`, `timezone`",
    ),
    ("[business]\n", "field = 1\n[business]\n", "line 7: this is not TOML"),
    (
        "needed_for = [\"sale\"]\nfind",
        "need_for = [\"sale\"]\nfind",
        "line 8: `need_for` is not a key known in field `email`: did you mean `needed_for`?",
    ),
    (
        "needed_for = [\"sale\"]\nfind",
        "find",
        "line 6: field `email` has no `needed_for`: add `needed_for = ..`",
    ),
    (
        "[field.email]\n",
        "[field.email]\ntype = \"name\"\n",
        "line 8: this is not TOML (duplicate key)",
    ),
    ("keep = \"3 years\"", "keep = \"3 years", "line 5: this is not TOML"),
    // Business.
    ("name = \"Shop\"", "", "line 1: `[business]` has no `name`: add"),
    (
        "name = \"Shop\"",
        "name = \"\"",
        "line 2: `name` of `[business]` is not one plain line: write 1 to 120 characters",
    ),
    (
        "name = \"Shop\"",
        "name = \"Sh\\u202eop\"",
        "line 2: `name` of `[business]` is not one plain line",
    ),
    (
        "name = \"Shop\"",
        "name = 3",
        "line 2: `name` of `[business]` is a number: write a text in quotes",
    ),
    (
        "Europe/London",
        "Europe/Londn",
        "line 3: there is no time zone `Europe/Londn`: did you mean `Europe/London`?",
    ),
    (
        "Europe/London",
        "../../etc/passwd",
        "line 3: there is no time zone `../../etc/passwd`: use a name such as",
    ),
    (
        "[relation",
        "erase_grace = \"31 days\"\n[relation",
        "line 4: `erase_grace` is `31 days`: write `0 days` to `30 days`",
    ),
    (
        "[relation",
        "country = \"UK\"\n[relation",
        "line 4: `UK` is not a country: no country has this code",
    ),
    // Relations and fields.
    (
        "3 years",
        "3 weeks",
        "line 5: `keep` of relation `sale` is `3 weeks`: write it as in `3 years`",
    ),
    ("3 years", "101 years", "line 5: `keep` of relation `sale` is `101 years`: write it as in"),
    ("[relation.sale]", "[relation.Sale]", "line 4: `Sale` is not a name: use lower-case letters"),
    (
        "\"email\"\nneeded",
        "\"e-mail\"\nneeded",
        "line 7: `e-mail` is not a type known in field `email`: did you mean `email`?",
    ),
    ("type = \"text\"", "type = \"choice\"", "line 10: field `note` has no `choices`: add"),
    (
        "type = \"text\"",
        "type = \"choice\"\nchoices = [\"one\"]",
        "line 12: field `note` has 1 `choices`: name 2 to 100",
    ),
    ("type = \"text\"", "type = \"national_id\"", "line 10: field `note` has no `country`: add"),
    (
        "type = \"text\"",
        "type = \"date\"\nsize_max = 3",
        "line 12: field `note` has `size_max`, but is not of type `text`: take `size_max` out",
    ),
    (
        "type = \"text\"",
        "type = \"text\"\nsize_max = 10001",
        "line 12: `size_max` of field `note` is out of bounds: write a whole number from 1 to 10000",
    ),
    (
        "type = \"text\"",
        "type = \"text\"\nclass = \"secret\"",
        "line 12: `secret` is not a class known in field `note`: known are `internal`, `confidential`, `restricted`",
    ),
    (
        "type = \"text\"",
        "type = \"text\"\nfind = \"exact\"",
        "line 12: field `note` has type `text`, which nobody is found by: take `find` out",
    ),
    (
        "type = \"text\"",
        "type = \"date_of_birth\"\nfind = \"exact\"",
        "line 12: field `note` has type `date_of_birth`, which nobody is found by",
    ),
    (
        "type = \"text\"",
        "type = \"country\"\nfind = \"unique\"",
        "line 12: field `note` has type `country`, which nobody is found by",
    ),
    (
        "find = \"exact\"",
        "find = \"words\"",
        "line 20: a grant finds by the words of `email`, which it does not show in clear: put it into `find` of a grant",
    ),
    (
        "type = \"email\"\nneeded_for = [\"sale\"]\nfind = \"exact\"",
        "type = \"phone\"\nneeded_for = [\"sale\"]\nfind = \"words\"",
        "line 9: field `email` has type `phone`, which nobody is found by the words of: write `find = \"exact\"`",
    ),
    (
        "find = \"exact\"",
        "find = \"uniqe\"",
        "line 9: `uniqe` is not a way to find known in field `email`: did you mean `unique`?",
    ),
    (
        "[\"sale\"]\nfind",
        "[\"sal\"]\nfind",
        "line 8: `sal` is not a relation known in field `email`: did you mean `sale`?",
    ),
    (
        "[\"sale\"]\nfind",
        "[]\nfind",
        "line 8: `needed_for` of field `email` is empty: name at least one",
    ),
    (
        "[\"sale\"]\nfind",
        "[\"sale\", \"sale\"]\nfind",
        "line 8: `sale` stands twice in `needed_for` of field `email`: take one out",
    ),
    (
        "[\"sale\"]\nfind",
        "\"sale\"\nfind",
        "line 8: `needed_for` of field `email` is not a list of texts: write",
    ),
    // Purposes and roles.
    (
        "[purpose.support]",
        "[purpose.support]\nneeds_consent = 1",
        "line 14: `needs_consent` of purpose `support` is neither yes nor no: write `true`",
    ),
    (
        "[\"relate\"]",
        "[\"relat\"]",
        "line 15: `relat` is not a right known in role `desk`: did you mean `relate`?",
    ),
    (
        "[\"relate\"]",
        "[\"relate\"]\npeople = true",
        "line 16: `people` is not in this version: take it out",
    ),
    // Grants.
    ("[[grant]]", "[grant]", "line 16: `grant` is a table: begin each grant with `[[grant]]`"),
    (
        "role = \"desk\"",
        "role = \"desc\"",
        "line 17: `desc` is not a role known in a grant: did you mean `desk`?",
    ),
    (
        "purpose = \"support\"",
        "purpose = \"fun\"",
        "line 18: `fun` is not a purpose known in a grant: known are `support`",
    ),
    ("purpose = \"support\"\n", "", "line 16: a grant has no `purpose`: add"),
    (
        "fields = [\"email\"]",
        "fields = [\"mail\"]",
        "line 19: `mail` is not a field known in the policy: did you mean `email`?",
    ),
    (
        "fields = [\"email\"]",
        "fields = []",
        "line 19: `fields` of a grant is empty: name at least one",
    ),
    (
        "find = [\"email\"]",
        "find = [\"note\"]",
        "line 20: a grant finds by `note`, which has no index: give the field `find = \"exact\"`",
    ),
    (
        "see = \"masked\"",
        "see = \"half\"",
        "line 21: `half` is not a way to see known in a grant: known are `none`, `masked`, `clear`",
    ),
    ("see = \"masked\"\n", "", "line 16: a grant has no `see`: add"),
    (
        "see = \"masked\"",
        "see = \"clear\"",
        "line 23: a grant reveals what it shows in clear anyway: take `reveal` out",
    ),
    ("budget = { per_day = 5 }\n", "", "line 16: a grant has no `budget`: add"),
    (
        "per_day = 5 ",
        "per_day = 0 ",
        "line 22: `per_day` of `budget` of a grant is out of bounds: write a whole number from 1 to 1000000",
    ),
    (
        "per_day = 5 ",
        "per_day = 1000001 ",
        "line 22: `per_day` of `budget` of a grant is out of bounds",
    ),
    (
        "per_day = 5 ",
        "per_week = 5 ",
        "line 22: `per_week` is not a key known in `budget` of a grant: known are `per_day`",
    ),
    (
        "needs = \"reason\"",
        "needs = \"approval\"",
        "line 23: `needs = \"approval\"` is not in this version: take it out",
    ),
    (
        "needs = \"reason\"",
        "needs = \"nothing\"",
        "line 23: `nothing` is not a need known in `reveal` of a grant: known are `reason`",
    ),
    ("[\"called\"]", "[]", "line 23: `reasons` of `reveal` of a grant is empty"),
    (
        "[\"called\"]",
        "[\"a\\nb\"]",
        "line 23: the reason `a?b` is not one plain line: write 1 to 60 characters",
    ),
    (", per_day = 3", "", "line 23: `reveal` of a grant has no `per_day`: add"),
];
