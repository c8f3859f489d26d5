#!/bin/sh
# The chapter "Restore, on an empty machine" of docs/operating.md, followed by its own words in a root
# that holds the program with the libraries it is linked to, both backups and the key file, and
# nothing else. Prints a transcript; ends with 1 where a step does not do what the chapter says.
#
# Usage: restore-drill.sh PROGRAM [CUSTOMERS]
set -eu

program=$(realpath "$1")
customers=${2:-500}
work=$(mktemp -d)
cd "$work"
trap 'rm -rf "$work"' EXIT

say() { printf '\n# %s\n' "$*"; }
fail() { printf 'the drill failed: %s\n' "$*" >&2; exit 1; }

say "A shop with $customers customers, one of them erased between two backups"
"$program" init --dir "$work/shop" > /dev/null
cd "$work/shop"
sed -i 's/erase_grace = "7 days"/erase_grace = "0 days"/' policy.toml
"$program" policy apply > /dev/null
for role in importer desk privacy; do
    "$program" key new --name "$role" --role "$role" --purpose support --out "$role.key" > /dev/null
done
{
    echo 'Name,E-Mail'
    seq "$customers" | sed 's/.*/Ada Example&,ada.&@mail.example/'
} > customers.csv
"$program" import customers.csv --map name=Name --map email=E-Mail --relation enquiry \
    --key-file importer.key > /dev/null 2>&1
find_one() { printf '%s' "$1" | "$program" customer find email --purpose support --key-file desk.key --json; }
id_of() { grep -o 'cus_[0-9a-z]*' | head -1; }
gone=$(find_one ada.2@mail.example | id_of)
"$program" backup --to "$work/backups" > /dev/null
"$program" customer erase "$gone" --key-file privacy.key > /dev/null
# The jobs of the server do what is due.
"$program" serve --port-file port > /dev/null 2>&1 &
server=$!
while [ ! -s port ]; do sleep 0.1; done
sleep 2
kill "$server" && wait "$server" || true
"$program" customer show "$gone" --fields name --purpose support --key-file desk.key 2>/dev/null && fail "the erasure did not go through"
older=$(ls -d "$work"/backups/data-*)
sleep 1
"$program" backup --to "$work/backups"
# What the shop has left is an old data backup; the newer one was lost with the machine.
for data in "$work"/backups/data-*; do [ "$data" = "$older" ] || rm -rf "$data"; done

say "The machine is lost. What is left: the backups, the key file, the program"
root="$work/root"
mkdir -p "$root/there"
cp "$program" "$root/strongroom"
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cp -R "$work/backups" "$root/there/backups"
cp strongroom.key "$root/there/strongroom.key"
desk_key=$(cat desk.key)
cd "$work"
rm -rf "$work/shop" "$work/backups"
(cd "$root" && find . -type f | sort | sed 's/^/  /')

# A root of its own and no variable of the environment.
inside() {
    [ -n "${quiet:-}" ] || printf '$ strongroom %s\n' "$*"
    env -i unshare --map-root-user --mount --net --root "$root" /strongroom "$@"
}
at_home="--config /there/strongroom.toml"

say "1. The key file, for its owner alone"
chmod 400 "$root/there/strongroom.key"

say "2. A preview"
inside restore --data /there/backups --keys /there/backups --to /there/data \
    --seal-key /there/strongroom.key --preview
[ ! -e "$root/there/data/keys.db" ] || fail "a preview left something"

say "5. The restore"
inside restore --data /there/backups --keys /there/backups --to /there/data \
    --seal-key /there/strongroom.key

say "6. The configuration"
cat > "$root/there/strongroom.toml" <<'END'
data_dir = "data"
key_file = "strongroom.key"
policy = "policy.toml"
END
sed 's/^/  /' "$root/there/strongroom.toml"

# shellcheck disable=SC2086
quiet=1 inside policy show --text $at_home > "$root/there/policy.toml"
quiet=1 inside policy check /there/policy.toml >/dev/null || fail "the policy shown is no policy"
echo '  policy.toml holds the policy in force again'

say "7. Is the ledger whole"
# shellcheck disable=SC2086
inside ledger verify $at_home

say "8. The keys are off; the desk's is switched on"
# shellcheck disable=SC2086
inside key list $at_home
printf '%s\n' "$desk_key" > "$root/there/desk.key"
chmod 600 "$root/there/desk.key"
# shellcheck disable=SC2086
if inside access who --field email $at_home --key-file /there/desk.key 2>&1 | grep -q 'switched off'; then
    echo '  the key is refused: it is switched off'
else
    fail "a key that is off was not refused"
fi
# shellcheck disable=SC2086
desk=$(quiet=1 inside key list $at_home | grep ' desk ' | grep -o 'key_[0-9a-z]*' | head -1)
# shellcheck disable=SC2086
inside key enable "$desk" $at_home

say "Everyone is back but the one who was erased after this data was copied"
ask() {
    # shellcheck disable=SC2086
    printf '%s' "$1" | quiet=1 inside customer find email --purpose support $at_home \
        --key-file /there/desk.key --json
}
one=$(ask ada.1@mail.example | id_of)
[ -n "$one" ] || fail "a customer is not found"
# shellcheck disable=SC2086
inside customer show "$one" --fields name,email --purpose support $at_home --key-file /there/desk.key
[ -z "$(ask ada.2@mail.example | id_of)" ] || fail "the erased customer is found"
# shellcheck disable=SC2086
if inside customer show "$gone" --fields name --purpose support $at_home --key-file /there/desk.key; then
    fail "the erased customer is shown"
fi

say "11. The next backup, a rehearsal of it, and whether all is as it should be"
# shellcheck disable=SC2086
inside backup $at_home
# shellcheck disable=SC2086
inside restore --verify $at_home
# shellcheck disable=SC2086
inside doctor $at_home
say "The drill is done"
