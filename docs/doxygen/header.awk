# Prepares obsabort.h for Doxygen: its first comment becomes the main page, and the names of constants and types become
# links. A name that is not declared then is a warning, and warnings are errors.

# Functions are links by their parentheses.
function linked(text,   done, name) {
    done = ""
    while (match(text, /(OBS_ABORT_|obs_abort_)[A-Za-z0-9_]*[A-Za-z0-9]/)) {
        name = substr(text, RSTART, RLENGTH)
        done = done substr(text, 1, RSTART - 1) (substr(text, RSTART + RLENGTH) ~ /^[(_]/ ? "" : "#") name
        text = substr(text, RSTART + RLENGTH)
    }
    return done text
}

NR == 1 { print "/** \\mainpage libobsabort in C"; intro = 1; next }
intro && /^ \* (SPDX|Generated)/ { print " *"; next }
intro && /^ \* PURPOSE$/ { print " * \\tableofcontents" }
intro && /^ \* [A-Z, ]+$/ {
    title = substr($0, 4, 1) tolower(substr($0, 5))
    label = tolower(substr($0, 4))
    gsub(/[^a-z]+/, "_", label)
    print " * # " title " {#manual_" label "}"
    next
}
/^ \*\/$/ { intro = 0 }
# Indented by four, after an empty line: code.
/^ \*$/ { after_empty = 1; print; next }
/^ \*     / && (after_empty || in_code) { in_code = 1; after_empty = 0; print; next }
{ after_empty = in_code = 0 }
/^ \* / || /^     \* / || /^\/\*\* / { print linked($0); next }
{ print }
