# bash completion for tranship. The program answers for itself, so this cannot drift.

_tranship() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}") current=${COMP_WORDS[COMP_CWORD]} candidate
    [ "$current" = = ] && current=
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
    # Nothing to offer: files, which is what most arguments are.
    [ ${#COMPREPLY[@]} -gt 0 ] && return
    compopt -o filenames 2>/dev/null
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <(compgen -f -- "$current")
}
complete -F _tranship tranship
