//go:build obsabort_static

package obsabort

// #cgo pkg-config: obsabort-static
import "C"
