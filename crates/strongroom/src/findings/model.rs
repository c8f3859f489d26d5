//! What is missing or wrong.

use crate::ctx::Time;
use crate::id::{Customer, Id};

/// Which check raised it. The text is stable: documents and programs name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A backup could not be made, or old ones could not be removed.
    BackupFailed,
    /// The newest backup is older than it should be.
    BackupLate,
    /// The newest backup could not be copied to another machine.
    BackupNotCopied,
    /// Backups lie on the disk of the data and are lost with it.
    BackupSameDisk,
    /// A rehearsed restore did not bring back what it should.
    BackupUnusable,
    /// The server's certificate ends soon.
    CertificateEnding,
    /// The wall clock jumped; nothing is erased until a person confirms it.
    ClockSuspect,
    /// Customers whom the log speaks of are gone, and nobody erased them.
    CustomerMissing,
    /// Little room is left on the disk of the data.
    DiskLow,
    /// A copy somewhere should be gone by now.
    HoldingOverdue,
    /// An API key ends soon, and its program with it.
    KeyEnding,
    /// What opens the installation lies in the clear on its machine.
    KeyFileOnly,
    /// A customer's key is not there although nobody erased it.
    KeyMissing,
    /// Keys and data are at one server: whoever copies that has both.
    KeysBesideData,
    /// Somebody else had keys: until all are new ones and nothing is kept that the old ones open.
    KeysLeaked,
    /// `ledger verify` saw something that does not fit.
    LedgerFlaw,
    /// A customer's rows are not those that the ledger says were written last.
    RecordPutBack,
    /// There are no recovery shares: who loses what opens the installation loses everything.
    RecoveryMissing,
    /// The data was restored: what a person has to look at before all is as before.
    Restored,
    /// An outlet cannot reach its vendor.
    OutletUnreachable,
    /// Rows of authority were changed by other hands.
    RightsAltered,
    /// A stored value does not open where it stands.
    Tampered,
    /// A receiver of webhooks does not take its events.
    WebhookFailing,
    /// A receiver of webhooks said that it is gone for good.
    WebhookGone,
    /// A receiver of webhooks will not learn of events.
    WebhookPassed,
    /// The witness knows another history of the ledger than the one here.
    WitnessContradicts,
    /// Nobody cosigns the ledger.
    WitnessNone,
    /// The witness does not cosign, or cannot be asked.
    WitnessUnreachable,
    /// There are more customers than the index of words holds.
    WordsOverfull,
}

impl FindingKind {
    /// Every kind there is.
    pub const ALL: [Self; 29] = [
        Self::BackupFailed,
        Self::BackupLate,
        Self::BackupNotCopied,
        Self::BackupSameDisk,
        Self::BackupUnusable,
        Self::CertificateEnding,
        Self::ClockSuspect,
        Self::CustomerMissing,
        Self::DiskLow,
        Self::HoldingOverdue,
        Self::KeyEnding,
        Self::KeyFileOnly,
        Self::KeyMissing,
        Self::KeysBesideData,
        Self::KeysLeaked,
        Self::LedgerFlaw,
        Self::RecordPutBack,
        Self::RecoveryMissing,
        Self::Restored,
        Self::OutletUnreachable,
        Self::RightsAltered,
        Self::Tampered,
        Self::WebhookFailing,
        Self::WebhookGone,
        Self::WebhookPassed,
        Self::WitnessContradicts,
        Self::WitnessNone,
        Self::WitnessUnreachable,
        Self::WordsOverfull,
    ];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackupFailed => "backup_failed",
            Self::BackupLate => "backup_late",
            Self::BackupNotCopied => "backup_not_copied",
            Self::BackupSameDisk => "backup_same_disk",
            Self::BackupUnusable => "backup_unusable",
            Self::CertificateEnding => "certificate_ending",
            Self::ClockSuspect => "clock_suspect",
            Self::CustomerMissing => "customer_missing",
            Self::DiskLow => "disk_low",
            Self::HoldingOverdue => "holding_overdue",
            Self::KeyEnding => "key_ending",
            Self::KeyFileOnly => "key_file_only",
            Self::KeyMissing => "key_missing",
            Self::KeysBesideData => "keys_beside_data",
            Self::KeysLeaked => "keys_leaked",
            Self::LedgerFlaw => "ledger_flaw",
            Self::RecordPutBack => "record_put_back",
            Self::RecoveryMissing => "recovery_missing",
            Self::Restored => "restored",
            Self::OutletUnreachable => "outlet_unreachable",
            Self::RightsAltered => "rights_altered",
            Self::Tampered => "tampered",
            Self::WebhookFailing => "webhook_failing",
            Self::WebhookGone => "webhook_gone",
            Self::WebhookPassed => "webhook_passed",
            Self::WitnessContradicts => "witness_contradicts",
            Self::WitnessNone => "witness_none",
            Self::WitnessUnreachable => "witness_unreachable",
            Self::WordsOverfull => "words_overfull",
        }
    }
}

/// A finding to be raised.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Which check.
    pub kind: FindingKind,
    /// What could happen to customers and what mends it; no personal value.
    pub detail: String,
    /// Whom it is about, if it is about one customer. Forgotten with them.
    pub customer: Option<[u8; 16]>,
}

impl Finding {
    /// One open finding per check and customer.
    pub(super) fn id(&self) -> String {
        match &self.customer {
            Some(customer) => {
                format!("{}:{}", self.kind.as_str(), Id::<Customer>::from_bytes(*customer))
            }
            None => self.kind.as_str().to_owned(),
        }
    }
}

/// An open finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// Names it.
    pub id: String,
    /// Which check.
    pub kind: String,
    /// What and how to mend it.
    pub detail: String,
    /// When it was first raised.
    pub first_seen: Time,
    /// When it was last raised.
    pub last_seen: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once() {
        let names: std::collections::BTreeSet<&str> =
            FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let named = include_str!("model.rs").matches("=> \"").count();
        assert_eq!((names.len(), FindingKind::ALL.len()), (named, named), "add it to `ALL`");
    }
}
