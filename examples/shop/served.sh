#!/bin/sh
# A shop's Strongroom to try an example with: made in DIR unless it is there, then served on 127.0.0.1:PORT.
#
#   sh served.sh DIR [PORT]        STRONGROOM_BIN names the program, if it is not on the path
#
# Three keys lie in DIR afterwards, one for each role the examples act in: a stolen one can do only that.
set -eu
dir=$1 port=${2:-8720} strongroom=${STRONGROOM_BIN:-strongroom}
config=$dir/strongroom.toml

key() {
  role=$1
  shift
  "$strongroom" key new --config "$config" --name "$role" --role "$role" --purpose support --out "$dir/$role.key" "$@"
}

if [ ! -e "$config" ]; then
  "$strongroom" init --no-questions --dir "$dir" --template shop --business "Harbour Books"
  "$strongroom" policy apply --config "$config"
  key shop
  key desk --people
  key privacy --people
fi >&2
sed -i "s/^listen = .*/listen = \"127.0.0.1:$port\"/" "$config"
rm -f "$dir/port"
exec "$strongroom" serve --config "$config" --port-file "$dir/port"
