/**
 * What `scanmq completion` prints: each asks the hidden command `__complete`, which knows the definitions of the
 * commands. Written here, for the scripts of the libraries looked at (@bomb.sh/tab 0.0.22, @pnpm/tabtab 0.5.4) hand the
 * words of the line to `eval`: pressing Tab after `$(…)` would execute it.
 */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** First line of an answer that leaves it to the shell to complete names of files. */
export const FILES_WORD = ':files';

const BASH = String.raw`# Completion of scanmq for bash. Enable it with:  source <(scanmq completion bash)
_scanmq_completion() {
  local line current="${'$'}{COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == ${FILES_WORD} ]]; then
      compopt -o filenames 2>/dev/null
      [[ $current == [=:] ]] && current=
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
      return
    fi
    COMPREPLY+=("${'$'}{line%%${'$'}'\t'*}")
  done < <("$1" __complete bash "$COMP_CWORD" -- "${'$'}{COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null </dev/null)
}
complete -F _scanmq_completion scanmq
`;

const ZSH = String.raw`#compdef scanmq
# Completion of scanmq for zsh. Enable it with:  source <(scanmq completion zsh)
# or, to have it loaded when needed:  scanmq completion zsh > "${'$'}{fpath[1]}/_scanmq"
_scanmq() {
  local -a lines found
  local line
  lines=("${'$'}{(@f)$("${'$'}{(Q)words[1]}" __complete zsh $((CURRENT - 1)) -- "${'$'}{(@Q)words[1,CURRENT]}" 2>/dev/null </dev/null)}")
  [[ $PREFIX == -*=* ]] && compset -P '*='
  if [[ ${'$'}{lines[1]} == ${FILES_WORD} ]]; then
    _files
    return
  fi
  for line in "${'$'}{(@)lines}"; do
    [[ -n $line ]] && found+=("${'$'}{${'$'}{line%%${'$'}'\t'*}//:/\\:}:${'$'}{line#*${'$'}'\t'}")
  done
  _describe -t scanmq scanmq found
}
if [[ ${'$'}{zsh_eval_context[-1]} == loadautofunc ]]; then
  _scanmq "$@"
else
  compdef _scanmq scanmq
fi
`;

const FISH = String.raw`# Completion of scanmq for fish. Enable it with:  scanmq completion fish > ~/.config/fish/completions/scanmq.fish
function __scanmq_complete
    set -l current (commandline -ct)
    set -l words (commandline -opc) "$current"
    set -l lines (command $words[1] __complete fish (math (count $words) - 1) -- $words 2>/dev/null </dev/null)
    if test "$lines[1]" = '${FILES_WORD}'
        set -l flag (string match -r -- '^-[^=]*=' "$current")
        for path in (__fish_complete_path (string replace -r -- '^-[^=]*=' '' "$current"))
            echo "$flag$path"
        end
        return
    end
    printf '%s\n' $lines
end
complete -c scanmq -f -a '(__scanmq_complete)'
`;

export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
