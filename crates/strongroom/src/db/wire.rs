//! Values as PostgreSQL takes and gives them.

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::Error;
use crate::sql::{NullOf, Row, Value};

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // A statement was prepared for the types it was first given.
        if !matches!(self, Self::Null(_)) && type_of(self) != *ty {
            return Err(format!("a value for a parameter of another type, {ty}").into());
        }
        match self {
            Self::Bytes(bytes) => bytes.as_slice().to_sql(ty, out),
            Self::Integer(number) => number.to_sql(ty, out),
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Text(text) => text.as_str().to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::BYTEA, Type::INT8, Type::TEXT].contains(ty)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(
        ty: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *ty {
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Integer(bool::from_sql(ty, raw)?.into()),
            _ => Self::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(ty: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null(match *ty {
            Type::BYTEA => NullOf::Bytes,
            Type::INT8 | Type::INT4 | Type::BOOL => NullOf::Integer,
            _ => NullOf::Text,
        }))
    }

    fn accepts(ty: &Type) -> bool {
        [Type::BYTEA, Type::INT8, Type::INT4, Type::BOOL, Type::TEXT].contains(ty)
    }
}

pub(super) fn read_row(row: &tokio_postgres::Row) -> Result<Row, Error> {
    // An error where a column is of a type that no statement of ours brings back.
    let values = (0..row.len()).map(|column| row.try_get(column).map_err(Error::internal));
    Ok(Row(values.collect::<Result<_, Error>>()?))
}

pub(super) fn type_of(value: &Value) -> Type {
    match value {
        Value::Bytes(_) | Value::Null(NullOf::Bytes) => Type::BYTEA,
        Value::Integer(_) | Value::Null(NullOf::Integer) => Type::INT8,
        Value::Text(_) | Value::Null(NullOf::Text) => Type::TEXT,
    }
}
