// Go's own log, against this one: x/mod/sumdb/note and tlog check what this crate made, and make what
// it checks. Run by tests/it/go.rs in GOPATH mode, without a network.
//
//	interop check FOLDER   the log in FOLDER, its proofs in FOLDER/proofs and FOLDER/trees
//	interop make FOLDER N  a log of N records, signed, with proofs
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
	name   = "go.example/log"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "check" {
		check(os.Args[2])
	} else if len(os.Args) == 4 && os.Args[1] == "make" {
		size, err := strconv.ParseInt(os.Args[3], 10, 64)
		must(err)
		create(os.Args[2], size)
	} else {
		must(fmt.Errorf("interop check FOLDER | interop make FOLDER N"))
	}
}

// folder reads tiles where tlog-tiles puts them: as Go's own path without the height.
type folder string

func (f folder) Height() int { return height }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(string(f), path(tile)))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func path(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
}

// entries is where the bundle beside a full or partial tile of hashes stands.
func entries(tile tlog.Tile) string {
	return strings.Replace(path(tile), "tile/0/", "tile/entries/", 1)
}

// tiles lists one row of a log; Go's NewTiles has every width that the last one ever had.
func tiles(level int, size int64) []tlog.Tile {
	var row []tlog.Tile
	filled := size >> (height * level)
	for n := int64(0); n*width < filled; n++ {
		w := filled - n*width
		if w > width {
			w = width
		}
		row = append(row, tlog.Tile{H: height, L: level, N: n, W: int(w)})
	}
	return row
}

func check(at string) {
	vkey := strings.TrimSpace(string(read(at, "vkey")))
	verifier, err := note.NewVerifier(vkey)
	must(err)
	opened, err := note.Open(read(at, "checkpoint"), note.VerifierList(verifier))
	must(err)
	tree := parse(opened.Text, verifier.Name())

	// Tiles are held against the root by the reader itself.
	reader := tlog.TileHashReader(tree, folder(at))
	var number int64
	for _, tile := range tiles(0, tree.N) {
		bundle := read(at, entries(tile))
		for place := 0; place < tile.W; place++ {
			length := int(binary.BigEndian.Uint16(bundle))
			record := bundle[2 : 2+length]
			bundle = bundle[2+length:]
			hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, number)})
			must(err)
			if hashes[0] != tlog.RecordHash(record) {
				must(fmt.Errorf("record %d is not the one in its tile", number))
			}
			number++
		}
		if len(bundle) != 0 {
			must(fmt.Errorf("%s holds more than it should", entries(tile)))
		}
	}
	if number != tree.N {
		must(fmt.Errorf("%d records instead of %d", number, tree.N))
	}
	proofs := 0
	for _, file := range list(at, "proofs") {
		checkProof(at, file, verifier, tree, reader)
		proofs++
	}
	trees := 0
	for _, file := range list(at, "trees") {
		lines := strings.Split(strings.TrimSuffix(string(read(at, "trees", file)), "\n"), "\n")
		size, err := strconv.ParseInt(file, 10, 64)
		must(err)
		old := hash(lines[0])
		must(tlog.CheckTree(hashes(lines[1:]), tree.N, tree.Hash, size, old))
		own, err := tlog.ProveTree(tree.N, size, reader)
		must(err)
		same(own, hashes(lines[1:]), "tree proof", file)
		trees++
	}
	fmt.Printf("%d records, %d proofs, %d trees\n", number, proofs, trees)
}

// checkProof reads a proof of this crate in tlog-proof form.
func checkProof(at, file string, verifier note.Verifier, tree tlog.Tree, reader tlog.HashReader) {
	text := string(read(at, "proofs", file))
	head, checkpoint, found := strings.Cut(text, "\n\n")
	if !found {
		must(fmt.Errorf("proof %s has no checkpoint", file))
	}
	opened, err := note.Open([]byte(checkpoint), note.VerifierList(verifier))
	must(err)
	if parse(opened.Text, verifier.Name()) != tree {
		must(fmt.Errorf("proof %s is of another tree", file))
	}
	lines := strings.Split(head, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") {
		must(fmt.Errorf("proof %s is none", file))
	}
	record, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	must(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	must(err)
	proof := tlog.RecordProof(hashes(lines[3:]))
	must(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(record)))
	own, err := tlog.ProveRecord(tree.N, index, reader)
	must(err)
	same(own, proof, "record proof", file)
}

// stored is Go's own storage of all hashes, in its own order.
type stored []tlog.Hash

func (s *stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		found = append(found, (*s)[index])
	}
	return found, nil
}

func create(at string, size int64) {
	seed := bytes.NewReader(bytes.Repeat([]byte{7}, 64))
	skey, vkey, err := note.GenerateKey(seed, name)
	must(err)
	signer, err := note.NewSigner(skey)
	must(err)
	write(at, vkey+"\n", "vkey")
	var all stored
	records := make([][]byte, 0, size)
	roots := []tlog.Hash{}
	for number := int64(0); number < size; number++ {
		record := []byte(fmt.Sprintf("record %d", number))
		hashes, err := tlog.StoredHashes(number, record, &all)
		must(err)
		all = append(all, hashes...)
		records = append(records, record)
		root, err := tlog.TreeHash(number+1, &all)
		must(err)
		roots = append(roots, root)
	}
	root := roots[size-1]
	text := fmt.Sprintf("%s\n%d\n%s\n", name, size, root)
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	must(err)
	write(at, string(signed), "checkpoint")
	for _, tile := range append(tiles(0, size), tiles(1, size)...) {
		data, err := tlog.ReadTileData(tile, &all)
		must(err)
		write(at, string(data), path(tile))
		if tile.L == 0 {
			var bundle []byte
			for _, record := range records[tile.N*width : tile.N*width+int64(tile.W)] {
				bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(record)))
				bundle = append(bundle, record...)
			}
			write(at, string(bundle), entries(tile))
		}
	}
	for index := int64(0); index < size; index += 1 + size/50 {
		proof, err := tlog.ProveRecord(size, index, &all)
		must(err)
		lines := fmt.Sprintf("c2sp.org/tlog-proof@v1\nindex %d\n", index)
		for _, hash := range proof {
			lines += hash.String() + "\n"
		}
		write(at, lines+"\n"+string(signed), "proofs", strconv.FormatInt(index, 10))
	}
	for old := int64(1); old <= size; old += 1 + size/50 {
		proof, err := tlog.ProveTree(size, old, &all)
		must(err)
		lines := roots[old-1].String() + "\n"
		for _, hash := range proof {
			lines += hash.String() + "\n"
		}
		write(at, lines, "trees", strconv.FormatInt(old, 10))
	}
}

// parse reads a checkpoint; Go's own FormatTree has another first line.
// parse allows further lines after the third (tlog-checkpoint), none of them empty.
func parse(text, origin string) tlog.Tree {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin || strings.Contains(text, "\n\n") || lines[len(lines)-1] != "" {
		must(fmt.Errorf("%q is no checkpoint of %s", text, origin))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	return tlog.Tree{N: size, Hash: hash(lines[2])}
}

func hash(text string) tlog.Hash {
	parsed, err := tlog.ParseHash(text)
	must(err)
	return parsed
}

func hashes(lines []string) []tlog.Hash {
	var all []tlog.Hash
	for _, line := range lines {
		all = append(all, hash(line))
	}
	return all
}

func same(own, given []tlog.Hash, what, which string) {
	if len(own) != len(given) {
		must(fmt.Errorf("%s %s: %d hashes instead of %d", what, which, len(given), len(own)))
	}
	for place := range own {
		if own[place] != given[place] {
			must(fmt.Errorf("%s %s: hash %d differs", what, which, place))
		}
	}
}

func list(parts ...string) []string {
	found, err := os.ReadDir(filepath.Join(parts...))
	must(err)
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

func read(parts ...string) []byte {
	data, err := os.ReadFile(filepath.Join(parts...))
	must(err)
	return data
}

func write(at, text string, parts ...string) {
	file := filepath.Join(append([]string{at}, parts...)...)
	must(os.MkdirAll(filepath.Dir(file), 0o700))
	must(os.WriteFile(file, []byte(text), 0o600))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}
