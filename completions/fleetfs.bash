# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2207 # no option contains a space
# Completion for bash. The options are read from --help of the fleetfs in use.

_fleetfs() {
	local cur prev split help settings option list
	# shellcheck disable=SC2034 # _init_completion sets them
	local words cword

	_init_completion -s || return
	help=$("$1" --help 2>/dev/null) || return

	if [[ $prev == -o ]]; then
		settings=$(sed -nE '/^Instead/q; s/^  (-., )?--([a-z_]+=?).*/\2/p' <<<"$help")
		list=${cur%"${cur##*,}"}
		# readline replaces only the part of the word after its last `=`.
		COMPREPLY=($(compgen -P "${list##*=}" -W "$settings" -- "${cur##*,}"))
		[[ ${COMPREPLY-} != *= ]] || compopt -o nospace
		return
	fi
	option=${prev#--}
	option=--${option//-/_}=
	if [[ $prev == --* && $help == *"$option"FILE* ]]; then
		_filedir
	elif [[ $split == true || ($prev == --* && $help == *"$option"*) ]]; then
		return # a number or a text cannot be completed
	elif [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "-o $(sed -nE 's/^  (-.)?(, )?(--[a-z_]+=?)?[A-Z]* .*/\1 \3/p' \
			<<<"$help")" -- "$cur"))
		[[ ${COMPREPLY-} != *= ]] || compopt -o nospace
	else
		_filedir json # a mount point or a saved response
	fi
}

complete -F _fleetfs fleetfs
