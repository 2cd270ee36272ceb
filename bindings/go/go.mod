module obsabort

go 1.24
