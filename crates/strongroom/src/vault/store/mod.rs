//! The vault's tables.

mod customers;
mod erasures;
mod imports;
mod indexes;
mod records;
mod tokens;

pub(super) use customers::{
    active_and_alive, delete_customer, delete_record, find_row, insert_customer, list_active_keys,
    list_deks_page, put_record, read_records, row_by_key, update_customer,
};
pub(super) use erasures::{
    JOB_TABLE, JobRow, JobState, REGISTER_TABLE, asked_at_least, asked_since, count_customers,
    find_job, insert_job, insert_register, is_registered, list_jobs, read_jobs, read_register,
    register_columns, update_job,
};
pub(super) use imports::{ImportRow, advance_import, find_import, insert_import, read_import};
pub(super) use indexes::{
    claim_unique, delete_index, delete_subject, find_by_hash, insert_exact, insert_subject,
    key_of_subject,
};
pub(super) use records::{
    SHELF_RECORDS_MAX, ShelfPlace, delete_shelf, delete_shelves, list_shelf_deks_page,
    put_shelf_record, read_shelf, read_shelf_record, shelf_of,
};
pub(super) use tokens::{
    TokenRow, count_tokens, delete_tokens, delete_tokens_in, find_token, insert_token,
    reseal_token, token_in_slot, unchanged,
};
