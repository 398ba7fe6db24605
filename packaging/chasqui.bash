# SPDX-License-Identifier: MIT
# Completion for bash: commands and options as --help tells them, and models where a command takes one.
_chasqui()
{
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words

    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$("$program" --help | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p')
    elif [ "${word#-}" != "$word" ]; then
        words=$("$program" "$command" --help | grep -o -E '^ +--?[a-z][a-z-]*')
    elif [ "$COMP_CWORD" -eq 2 ]; then
        case $command in
        run | embed | show | cp | rm | stop) words=$("$program" list 2>/dev/null | sed -e 1d -e 's/ .*//') ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [ "${#COMPREPLY[@]}" -gt 0 ] || compopt -o default 2>/dev/null
    # a name with a tag: bash completes only what is behind the colon
    [ "$(type -t __ltrim_colon_completions)" != function ] || __ltrim_colon_completions "$word"
}
complete -F _chasqui chasqui
