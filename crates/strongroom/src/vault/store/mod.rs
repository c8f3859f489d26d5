//! The vault's tables.

mod customers;
mod erasures;
mod imports;
mod indexes;
mod maps;
mod records;
mod retired;
mod tokens;
mod walk;

pub(super) use customers::{
    active_and_alive, delete_customer, delete_record, find_row, insert_customer, insert_record,
    list_active_ids, list_active_keys, list_customers_page, list_deks_page, put_record,
    read_records, records_of, row_by_key, update_customer,
};
pub(super) use erasures::{
    JOB_TABLE, JobRow, JobState, REGISTER_TABLE, ask_registered, asked_at_least, asked_since,
    count_customers, find_job, insert_job, insert_register, is_registered, list_jobs, read_jobs,
    read_register, register_columns, update_job,
};
pub(super) use imports::{ImportRow, advance_import, find_import, insert_import, read_import};
pub(super) use indexes::{
    claim_unique, delete_index, delete_subject, find_by_hash, find_claim, insert_exact,
    insert_subject, is_subject_under, key_of_subject, move_index, move_subject, rehash_index,
    rehash_subject,
};
pub(super) use maps::{count_maps, find_map, put_map};
pub(super) use records::{
    SHELF_RECORDS_MAX, ShelfPlace, delete_shelf, delete_shelves, list_shelf_deks_page,
    put_shelf_record, read_shelf, read_shelf_record, shelf_of,
};
pub(super) use retired::{
    RETIRED_TABLE, RetiredRow, delete_retired, delete_retired_of, destroyed_retired,
    insert_retired, list_retired,
};
pub(super) use tokens::{
    TokenRow, count_tokens, delete_tokens, delete_tokens_in, find_token, insert_token, list_tokens,
    move_token, renew_token, reseal_token, token_in_slot, tokens_in, tokens_of, unchanged,
};
pub(super) use walk::{WalkRow, any_orphan, list_keys, put_walk, read_walk, set_due_day};
