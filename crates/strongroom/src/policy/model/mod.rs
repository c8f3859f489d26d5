//! The types of the data policy, and of the values its fields hold. A `Policy` is made by parsing
//! alone and cannot be changed afterwards; nothing in here reads a file, a clock or a database.

mod difference;
mod field;
mod grant;
mod kind;
mod name;
mod outlet;
mod period;
mod problem;
mod registry;
mod value;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use strongroom_detect::country::CountryCode;

pub use self::difference::{DifferenceLine, Effect};
pub use self::field::{Class, Field, Find, RecordKind, Relation};
pub use self::grant::{Budget, Grant, Purpose, Reveal, Right, Role, See};
pub use self::kind::FieldKind;
pub use self::name::Name;
pub use self::outlet::{Destination, HttpsAddress, Outlet};
pub use self::period::{GracePeriod, RetentionPeriod};
pub use self::problem::{Problem, ValueProblem, ValueProblemCode};
pub use self::registry::{Compartment, Registry};
pub use self::value::{FieldValue, UnreadableValueError};

pub(in crate::policy) use self::kind::{KINDS, TEXT_SIZE_DEFAULT, TEXT_SIZE_MAX};
pub(in crate::policy) use self::value::{Address, Shape};

/// A whole data policy whose parts are known to fit together: every name used is declared, every
/// grant can be honoured. Read-only; only `parse` makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(in crate::policy) business: Business,
    pub(in crate::policy) relations: BTreeMap<Name<Relation>, Relation>,
    pub(in crate::policy) fields: BTreeMap<Name<Field>, Field>,
    pub(in crate::policy) records: BTreeMap<Name<RecordKind>, RecordKind>,
    pub(in crate::policy) purposes: BTreeMap<Name<Purpose>, Purpose>,
    pub(in crate::policy) roles: BTreeMap<Name<Role>, Role>,
    pub(in crate::policy) grants: Vec<Grant>,
    pub(in crate::policy) outlets: BTreeMap<Name<Outlet>, Outlet>,
}

impl Policy {
    /// Whose customers these are, and the time zone all periods are counted in.
    pub fn business(&self) -> &Business {
        &self.business
    }

    /// Why a customer is known to the business, by name, in order of the names.
    pub fn relations(&self) -> &BTreeMap<Name<Relation>, Relation> {
        &self.relations
    }

    /// Everything that may be kept about a customer; at most 200.
    pub fn fields(&self) -> &BTreeMap<Name<Field>, Field> {
        &self.fields
    }

    /// What belongs to customers and lives by itself, by the name of its kind.
    pub fn records(&self) -> &BTreeMap<Name<RecordKind>, RecordKind> {
        &self.records
    }

    /// A field by the name grants call it by: `email`, or `invoice.number` for one of a record.
    pub fn field(&self, name: &str) -> Option<&Field> {
        match name.split_once('.') {
            Some((kind, field)) => self.records.get(kind)?.fields.get(field),
            None => self.fields.get(name),
        }
    }

    /// Every field there is, those of records too, by the name grants call it by.
    pub fn all_fields(&self) -> impl Iterator<Item = (Name<Field>, &Field)> {
        let own = self.fields.iter().map(|(name, field)| (name.clone(), field));
        let of_records = self.records.iter().flat_map(|(kind, record)| {
            record.fields.iter().map(|(name, field)| (Name::of_record(kind, name), field))
        });
        own.chain(of_records)
    }

    /// Why anyone may look.
    pub fn purposes(&self) -> &BTreeMap<Name<Purpose>, Purpose> {
        &self.purposes
    }

    /// Who may act, with the rights that do not come from grants.
    pub fn roles(&self) -> &BTreeMap<Name<Role>, Role> {
        &self.roles
    }

    /// Who may see and find what, in the order of the file.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Where values may go without anyone here seeing them.
    pub fn outlets(&self) -> &BTreeMap<Name<Outlet>, Outlet> {
        &self.outlets
    }

    /// The grants one role has for one purpose. No field is named by two of them.
    pub fn grants_of<'p>(
        &'p self,
        role: &'p str,
        purpose: &'p str,
    ) -> impl Iterator<Item = &'p Grant> {
        self.grants
            .iter()
            .filter(move |grant| grant.role.as_str() == role && grant.purpose.as_str() == purpose)
    }
}

/// The business that keeps the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Business {
    /// As customers know it.
    pub name: String,
    /// Days, budgets and the ends of retention follow this zone; its IANA name is
    /// `timezone_name`.
    pub timezone: TimeZone,
    /// The IANA name as written in the policy.
    pub timezone_name: String,
    /// How long an erasure can still be cancelled.
    pub erase_grace: GracePeriod,
    /// Where phone numbers without a country prefix belong; without it they are refused.
    pub country: Option<CountryCode>,
}
