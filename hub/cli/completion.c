/* completion.c: a script of completion for bash, see completion.h. The script reads no file and calls no program: it is
 * the table in another form. */
#include "hub/cli/completion.h"

#include <string.h>

/* Finds the command by the words before the cursor, then what may stand at the cursor. `words`, `kind` and `operand`
 * are told by _cityhub_table. bash divides at `=`, so --limit=5 comes as three words. */
static const char script_begin[] =
    "# Completion of cityhub for bash, made from its table of commands by `cityhub help --completion bash`.\n"
    "_cityhub_table() {\n"
    "    words='' kind=none takes=''\n"
    "    case $1 in\n";

static const char script_end[] =
    "    esac\n"
    "}\n"
    "\n"
    "_cityhub() {\n"
    "    local cursor=${COMP_WORDS[COMP_CWORD]} path=\"${COMP_WORDS[0]##*/}\" operands=0 option='' ended='' i word\n"
    "    local words kind takes\n"
    "    [ \"$path\" = cityhubd ] && path='cityhub serve' || path=cityhub\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [ -n \"$option\" ]; then\n"
    "            [ \"$word\" = = ] || option=''\n"
    "        elif [ -z \"$ended\" ] && [ \"$word\" = -- ]; then\n"
    "            ended=yes\n"
    "        elif [ -z \"$ended\" ] && [[ $word == -* ]]; then\n"
    "            [ \"$word\" = -c ] && word=--config\n"
    "            _cityhub_table \"$path\"\n"
    "            [[ \" $takes --config \" == *\" $word \"* ]] && option=$word\n"
    "        else\n"
    "            _cityhub_table \"$path\"\n"
    "            if [ \"$kind\" = actions ] && [[ \" $words \" == *\" $word \"* ]]; then\n"
    "                path=\"$path $word\"\n"
    "            else\n"
    "                operands=$((operands + 1))\n"
    "            fi\n"
    "        fi\n"
    "    done\n"
    "    [ \"$cursor\" = = ] && cursor=''\n"
    "    if [ \"$option\" = --config ]; then\n"
    "        words='' kind=file\n"
    "    elif [ -n \"$option\" ]; then\n"
    "        _cityhub_table \"$path $option\"\n"
    "    elif [ -z \"$ended\" ] && [[ $cursor == -* ]]; then\n"
    "        _cityhub_table \"$path -\"\n"
    "        words=\"$words --config --help --version\" kind=words\n"
    "    else\n"
    "        _cityhub_table \"$path\"\n"
    "        [ \"$kind\" = actions ] || _cityhub_table \"$path $operands\"\n"
    "    fi\n"
    "    case $kind in\n"
    "    file) compopt -o filenames 2>/dev/null || :; mapfile -t COMPREPLY < <(compgen -f -- \"$cursor\") ;;\n"
    "    folder) compopt -o filenames 2>/dev/null || :; mapfile -t COMPREPLY < <(compgen -d -- \"$cursor\") ;;\n"
    "    *) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cursor\") ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _cityhub cityhub cityhubd\n";

static bool takes_value(const struct command_option *option) {
    return option->kind != OPTION_FLAG && !option_is_operand(option);
}

/* What the value of a row may be. */
static void put_value(FILE *out, const char *name, const char *key, const struct command_option *option) {
    const char *kind = option->kind == OPTION_FILE ? "file" : option->kind == OPTION_FOLDER ? "folder" : "words";
    const char *words = option_words(option);
    fprintf(out, "    '%s %s'%s) kind=%s words='", name, key, option->repeated ? "[0-9]*" : "", kind);
    for (const char *word = words; *word != '\0';) {
        size_t length = strcspn(word, " ");
        fprintf(out, "%s%.*s%s", word == words ? "" : " ", (int)length, word, option->kind == OPTION_PAIR ? "=" : "");
        word += length + strspn(word + length, " ");
    }
    fputs("' ;;\n", out);
}

/* The options of a command, those that take a value, and each of these. */
static void put_command(FILE *out, const char *name, const struct command *command) {
    const struct command_option *first = command->options;
    fprintf(out, "    '%s') takes='", name);
    for (const struct command_option *row = first; row != NULL && row->name != NULL; row++) {
        if (option_is_shown(row) && takes_value(row)) {
            fprintf(out, " --%s", row->name);
        }
    }
    fprintf(out, "' ;;\n    '%s -') words='", name);
    for (const struct command_option *row = first; row != NULL && row->name != NULL; row++) {
        if (option_is_shown(row) && !option_is_operand(row)) {
            fprintf(out, " --%s", row->name);
        }
    }
    fputs("' ;;\n", out);
    int operand = 0;
    for (const struct command_option *row = first; row != NULL && row->name != NULL; row++) {
        char key[OPTION_FORM_MAX];
        if (!option_is_shown(row) || (!option_is_operand(row) && !takes_value(row))) {
            continue;
        }
        if (!option_is_operand(row)) {
            snprintf(key, sizeof key, "--%s", row->name);
        } else if (row->repeated) {
            key[0] = '\0'; /* any number from here on */
        } else {
            snprintf(key, sizeof key, "%d", operand);
        }
        operand += option_is_operand(row) ? 1 : 0;
        put_value(out, name, key, row);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a path is long */
static void put_path(FILE *out, const struct command_path *path) {
    const struct command *command = command_last(path);
    char name[COMMAND_NAME_MAX];
    command_name(path, 0, name);
    if (command->actions == NULL) {
        put_command(out, name, command);
        return;
    }
    fprintf(out, "    '%s') kind=actions words='", name);
    for (size_t i = 0; command->actions[i] != NULL; i++) {
        fprintf(out, "%s%s", i == 0 ? "" : " ", command->actions[i]->name);
    }
    fputs("' ;;\n", out);
    for (size_t i = 0; command->actions[i] != NULL && path->depth < COMMAND_DEPTH_MAX; i++) {
        struct command_path below = *path;
        below.steps[below.depth++] = command->actions[i];
        put_path(out, &below);
    }
}

void completion_print_bash(FILE *out, const struct command *program) {
    struct command_path path = {.steps = {program}, .depth = 1};
    fputs(script_begin, out);
    put_path(out, &path);
    fputs(script_end, out);
}
