//go:build !obsabort_static

package obsabort

// Not a condition in one file: the go command's cache knows a package by its files, and not by what pkg-config says of it.
// It would take what was built with the other library (golang.org/issue/73033).

// #cgo pkg-config: obsabort
import "C"
