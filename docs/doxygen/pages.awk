# Prepares a Markdown page of this repository for Doxygen, which knows neither GitHub's anchors nor files that are not part
# of its manual. Headings get labels, and links to anything that has no page become plain text.

# "Ten lines" -> ten-lines, as GitHub has it.
function slug(text) {
    text = tolower(text)
    gsub(/[^a-z0-9 _-]/, "", text)
    gsub(/ /, "-", text)
    return text (seen[text]++ ? "-" seen[text] - 1 : "")
}

function page_of(file) {
    sub(/^.*\//, "", file)
    sub(/\.md$/, "", file)
    return tolower(file)
}

# TEXT TARGET: one link, as Doxygen has it.
function link(text, target,   file, anchor) {
    if (target ~ /^[a-z]+:/) return "[" text "](" target ")"
    if (target ~ /\.h$/) return "[" text "](@ref index)"
    file = anchor = target
    sub(/#.*/, "", file)
    if (!sub(/^[^#]*#/, "", anchor)) anchor = ""
    if (file != "" && file !~ /^[^\/]*\.md$/ && file !~ /^(\.\.\/|docs\/)[A-Za-z]*\.md$/) return text
    file = file == "" ? page : page_of(file)
    return "[" text "](@ref " file (anchor == "" ? "" : "_" anchor) ")"
}

function linked(line,   done, found, middle) {
    done = ""
    while (match(line, /!?\[[^]]*\]\([^)]*\)/)) {
        found = substr(line, RSTART, RLENGTH)
        done = done substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + RLENGTH)
        middle = index(found, "](")
        if (found ~ /^!/) done = done found
        else done = done link(substr(found, 2, middle - 2), substr(found, middle + 2, length(found) - middle - 2))
    }
    return done line
}

# Code between single backticks must be on one line, and have no apostrophe, which would end it.
function quoted(line,   parts, count, i, done, tick, more) {
    if (line == "") return ""
    while ((count = split(line, parts, "`")) % 2 == 0 && (getline more) > 0) {
        sub(/^ */, "", more)
        line = line " " linked(more)
    }
    done = parts[1]
    for (i = 2; i < count; i += 2) {
        # Not a link.
        gsub(/file:/, "%file:", parts[i])
        tick = parts[i] ~ /'/ ? "``" : "`"
        done = done tick parts[i] tick parts[i + 1]
    }
    gsub(/\*\*`/, "<b>`", done)
    gsub(/`\*\*/, "`</b>", done)
    return done
}

FNR == 1 { page = page_of(FILENAME) }
/^```/ { fenced = !fenced; print; next }
fenced || /^    / { print; next }
/^#+ / {
    label = page
    if (titled++) { label = $0; sub(/^#+ /, "", label); label = page "_" slug(label) }
    # "C#" would lose its sign.
    sub(/#$/, "\\&#35;")
    print $0 " {#" label "}"
    next
}
{ print quoted(linked($0)) }
