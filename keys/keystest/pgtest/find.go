package pgtest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

var errNotInstalled = errors.New("PostgreSQL is not installed")

// debianBins are where Debian keeps the programs of each release, none of them on PATH.
const debianBins = "/usr/lib/postgresql/*/bin"

// findBin returns the directory of PostgreSQL's programs: that of the first initdb on the path, or the newest that
// matches the pattern, in which the asterisk stands for the release.
func findBin(path, pattern string) (string, error) {
	others, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	slices.SortFunc(others, func(a, b string) int { return cmp.Compare(release(b), release(a)) })
	for _, dir := range append(filepath.SplitList(path), others...) {
		initdb, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb")) // on PATH there may be links to some of them
		bin := filepath.Dir(initdb)
		if err == nil && filepath.IsAbs(bin) && isProgram(initdb) && isProgram(filepath.Join(bin, "postgres")) {
			return bin, nil
		}
	}
	return "", fmt.Errorf("%w: no initdb and postgres on PATH or in %s", errNotInstalled, pattern)
}

// release reads the number from a path of Debian's; 0 when it has none.
func release(bin string) float64 {
	number, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(bin)), 64)
	return number
}

func isProgram(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
