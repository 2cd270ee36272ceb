package obsabort_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"obsabort"
)

// declaredCodes reads the constants of type Code from the source: number -> name.
func declaredCodes(t *testing.T) map[int]string {
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	check(t, err)
	codes := map[int]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok {
			number, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
			check(t, err)
			codes[number] = spec.Names[0].Name
		}
		return true
	})
	return codes
}

func TestCodesAreThoseOfTheLibrary(t *testing.T) {
	codes := declaredCodes(t)
	wordEnd := regexp.MustCompile(`([a-z])([A-Z])`)
	known := 0
	for number := range 256 {
		name := obsabort.Code(number).Error()
		snake := strings.ToLower(wordEnd.ReplaceAllString(codes[number], "${1}_$2"))
		if name == "unknown" {
			name = ""
		} else {
			known++
		}
		if name != snake {
			t.Errorf("code %d is %q in the library, and %q in Go", number, name, codes[number])
		}
	}
	if known != len(codes) {
		t.Errorf("Go has %d codes, the library %d", len(codes), known)
	}
	if obsabort.NoSuchUpload.Description() == "" || obsabort.Version() == "" {
		t.Error("no description, or no version")
	}
}
