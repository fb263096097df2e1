/* The table of settings, and what a value of each type may be. Decides defaults and bounds; does not know where values come from. */
#include "conf/settings.h"

#include "base/io.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1000ULL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

static const char *const transfer_choices[] = { "auto", "scp", "stream", "tls", "shared:DIR", NULL };
static const char *const strategy_choices[] = { "auto", "archive", "in-place", NULL };
static const char *const compress_choices[] = { "off", "archive", "auto", "on", NULL };
static const char *const dump_choices[] = { "auto", "memory", "disk", NULL };
static const char *const precopy_choices[] = { "all", "rehearsal", "files", "none", NULL };
static const char *const verify_failure_choices[] = { "rollback", "keep", NULL };
static const char *const when_choices[] = { "auto", "always", "never", NULL };
static const char *const volume_choices[] = { "replace", "shared", NULL };
static const char *const bind_choices[] = { "shared", "copy", NULL };
static const char *const bool_choices[] = { "no", "yes", "false", "true", "off", "on", "0", "1", NULL }; /* odd index: yes */

/* clang-format off */
static const struct ts_setting settings[] = {
        { .key = "from", .type = TS_SET_STRING, .fallback = "", .arg = "ENGINE",
          .help = "engine that has the container (default: CONTAINER_HOST, DOCKER_HOST, then the local sockets)" },
        { .key = "to", .type = TS_SET_STRING, .fallback = "", .arg = "ENGINE",
          .help = "engine that gets the container" },
        { .key = "transfer", .type = TS_SET_ENUM, .fallback = "stream", .choices = transfer_choices, .arg = "HOW",
          .help = "how bytes travel: over SSH (stream), by SCP, over TLS beside SSH, or in a directory both hosts have" },
        { .key = "tls_ports", .type = TS_SET_STRING, .form = TS_FORM_PORTS, .fallback = "49152-49215", .arg = "LOW-HIGH",
          .help = "TCP ports on the hosts for --transfer tls: one for each directory on its way" },
        { .key = "strategy", .type = TS_SET_ENUM, .fallback = "auto", .choices = strategy_choices, .arg = "HOW",
          .help = "how state leaves the source: the engine's own archive, or its storage directly (in-place)" },
        { .key = "precopy", .type = TS_SET_ENUM, .fallback = "all", .choices = precopy_choices, .arg = "WHAT",
          .help = "what travels before the freeze: files and memory, the same without pre-dumps (rehearsal), files, nothing" },
        { .key = "compress", .type = TS_SET_ENUM, .fallback = "archive", .choices = compress_choices, .arg = "WHEN",
          .help = "what is packed with zstd on its way: nothing (off), archives, the rest too where that is faster (auto), all (on)" },
        { .key = "bandwidth", .type = TS_SET_SIZE, .fallback = "0", .min = 0, .max = 1ULL << 40, .arg = "RATE",
          .help = "bytes a second that memory and files may take, in place: 50M (0: no limit)" },
        { .key = "streams", .type = TS_SET_SIZE, .fallback = "0", .min = 0, .max = 16, .arg = "N",
          .help = "SSH connections for each directory on its way, in place (0: as many as make it faster, at most 8)" },
        { .key = "dump", .type = TS_SET_ENUM, .fallback = "auto", .choices = dump_choices, .arg = "WHERE",
          .help = "where Podman writes its images on the source: in memory where there is room (auto, memory), or on disk" },
        { .key = "max_downtime", .type = TS_SET_DURATION_MS, .fallback = "0", .min = 0, .max = 24 * HOUR, .arg = "DURATION",
          .help = "do not freeze the container when the downtime is predicted to be longer (0: no limit)" },
        { .key = "ssh_config", .type = TS_SET_STRING, .form = TS_FORM_FILE, .fallback = "", .arg = "FILE",
          .help = "SSH configuration file (default: the calling user's)" },
        { .key = "known_hosts", .type = TS_SET_STRING, .form = TS_FORM_FILE, .fallback = "", .arg = "FILE",
          .help = "file of known host keys (default: what the SSH configuration says)" },
        { .key = "identity", .type = TS_SET_STRING, .form = TS_FORM_FILE, .fallback = "", .arg = "FILE",
          .help = "SSH private key (default: the agent, then what the SSH configuration says)" },
        { .key = "accept_new", .type = TS_SET_BOOL, .fallback = "no",
          .help = "add an unknown host key to the known hosts; a changed one is always refused" },
        { .key = "connect_timeout", .type = TS_SET_DURATION_MS, .fallback = "10s", .min = 100, .max = HOUR, .arg = "DURATION",
          .help = "how long each step of making a connection may take" },
        { .key = "peer_timeout", .type = TS_SET_DURATION_MS, .fallback = "30s", .min = SECOND, .max = HOUR, .arg = "DURATION",
          .help = "how long a silent peer is believed to be alive" },
        { .key = "reconnect_timeout", .type = TS_SET_DURATION_MS, .fallback = "1m", .min = 0, .max = MINUTE, .arg = "DURATION",
          .help = "how long to try to connect anew when a connection breaks before the freeze, in place" },
        { .key = "fence_timeout", .type = TS_SET_DURATION_MS, .fallback = "1m", .min = 0, .max = 24 * HOUR, .arg = "DURATION",
          .help = "how long to try to make sure that the target does not run, before a person is asked" },
        { .key = "verify_timeout", .type = TS_SET_DURATION_MS, .fallback = "5s", .min = 100, .max = HOUR, .arg = "DURATION",
          .help = "how long the restored container may take to answer as verify wants" },
        { .key = "checkpoint_timeout", .type = TS_SET_DURATION_MS, .fallback = "10m", .min = 0, .max = 24 * HOUR, .arg = "DURATION",
          .help = "how long the engine may take to dump the container (0: no limit)" },
        { .key = "restore_timeout", .type = TS_SET_DURATION_MS, .fallback = "10m", .min = 0, .max = 24 * HOUR, .arg = "DURATION",
          .help = "how long the engine may take to restore the container (0: no limit)" },
        { .key = "on_verify_failure", .type = TS_SET_ENUM, .fallback = "rollback", .choices = verify_failure_choices, .arg = "WHAT",
          .help = "when the restored container does not answer: go back to the source, or keep the target" },
        { .key = "keep_source", .type = TS_SET_BOOL, .fallback = "no",
          .help = "keep the stopped source container, renamed and with restart policy 'no'" },
        { .key = "staging", .type = TS_SET_STRING, .form = TS_FORM_PATH, .fallback = "", .arg = "DIR",
          .help = "directory on both hosts for files under way (default: /var/lib/tranship/staging)" },
        { .key = "probe", .type = TS_SET_STRING, .fallback = "", .arg = "PROBE",
          .help = "measure what a client sees during the move: tcp://HOST:PORT, http://HOST[:PORT]/PATH or exec:COMMAND" },
        { .key = "sample", .type = TS_SET_DURATION_MS, .fallback = "0", .min = 50, .max = MINUTE, .or_zero = true, .arg = "DURATION",
          .help = "how often to look at memory, CPU, disks and network of both hosts, for the report: 200ms (0: not)" },
        { .key = "verify", .type = TS_SET_STRING, .fallback = "", .arg = "PROBE",
          .help = "what must answer before the move counts as done; forms as for probe" },
        { .key = "before_freeze", .type = TS_SET_STRING, .fallback = "", .arg = "exec:COMMAND",
          .help = "run on this machine just before the container is frozen, for at most a minute: exec:COMMAND" },
        { .key = "report", .type = TS_SET_STRING, .form = TS_FORM_FILE, .fallback = "", .arg = "FILE",
          .help = "write the report of the move to this file as JSON" },
        { .key = "report_dir", .type = TS_SET_STRING, .form = TS_FORM_FILE, .fallback = "", .arg = "DIR",
          .help = "directory that gets a report of every move, named by its ID" },
        { .key = "color", .type = TS_SET_ENUM, .fallback = "auto", .choices = when_choices, .arg = "WHEN",
          .help = "colours on the terminal (auto: when it is one and NO_COLOR is not set)" },
        { .key = "progress", .type = TS_SET_ENUM, .fallback = "auto", .choices = when_choices, .arg = "WHEN",
          .help = "progress line on standard error (auto: when it is a terminal)" },
        { .key = "state_dir", .type = TS_SET_STRING, .form = TS_FORM_FILE, .fallback = "", .arg = "DIR",
          .help = "journals of migrations (default: /var/lib/tranship for root, else ~/.local/state/tranship)" },
        { .key = "volume", .type = TS_SET_LIST, .form = TS_FORM_NAME_CHOICE, .fallback = "", .choices = volume_choices, .arg = "NAME=HOW",
          .help = "a volume that is on the target already: replace its content, or it is the same one (shared)" },
        { .key = "bind", .type = TS_SET_LIST, .form = TS_FORM_PATH_CHOICE, .fallback = "", .choices = bind_choices, .arg = "PATH=HOW",
          .help = "a bind-mounted path: both hosts see the same files (shared), or copy it" },
        { .key = "skip", .type = TS_SET_LIST, .form = TS_FORM_WORD, .fallback = "", .arg = "CODE",
          .help = "a preflight finding to make a warning of, by its code" },
        { .key = "podman", .type = TS_SET_STRING, .fallback = "podman", .arg = "PROGRAM",
          .help = "name or path of the podman program on the hosts" },
        { .key = "docker", .type = TS_SET_STRING, .fallback = "docker", .arg = "PROGRAM",
          .help = "name or path of the docker program on the hosts" },
};
/* clang-format on */

const struct ts_setting *ts_conf_settings(size_t *ret_n)
{
        _Static_assert(TS_ARRAY_LEN(settings) <= TS_CONF_SETTINGS_MAX, "raise TS_CONF_SETTINGS_MAX");
        *ret_n = TS_ARRAY_LEN(settings);
        return settings;
}

void ts_conf_env_name(const char *key, char buf[64])
{
        (void)snprintf(buf, 64, "TRANSHIP_%s", key);
        for (char *p = buf; *p; p++)
                if (*p >= 'a' && *p <= 'z')
                        *p = (char)(*p - 'a' + 'A');
}

const char *ts_setting_type_str(enum ts_setting_type type)
{
        static const char *const names[] = { [TS_SET_STRING] = "string",
                                             [TS_SET_BOOL] = "bool",
                                             [TS_SET_DURATION_MS] = "duration",
                                             [TS_SET_SIZE] = "size",
                                             [TS_SET_ENUM] = "enum",
                                             [TS_SET_LIST] = "list" };

        return (size_t)type < TS_ARRAY_LEN(names) ? names[type] : "unknown";
}

/* ---- the nearest word ---- */

#define WORD_MAX 40

/* Levenshtein. Both at most WORD_MAX. */
static size_t edit_distance(const char *a, const char *b)
{
        size_t row[WORD_MAX + 1], len = strlen(b);

        for (size_t j = 0; j <= len; j++)
                row[j] = j;
        for (size_t i = 1; a[i - 1]; i++) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= len; j++) {
                        size_t best = diagonal + (a[i - 1] != b[j - 1]);

                        diagonal = row[j];
                        if (row[j] + 1 < best)
                                best = row[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        row[j] = best;
                }
        }
        return row[len];
}

const char *ts_nearest(const char *text, const char *const *words, size_t n)
{
        size_t len = strlen(text), best = len < 4 ? 1 : len / 3 + 1; /* worse than this is another word, not a slip */
        const char *found = NULL;

        if (len > WORD_MAX)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                size_t d = strlen(words[i]) <= WORD_MAX ? edit_distance(text, words[i]) : WORD_MAX;

                if (d < best || (d == best && !found)) {
                        best = d;
                        found = words[i];
                }
        }
        return found;
}

int ts_setting_find(const char *key, struct ts_err *err)
{
        const char *keys[TS_ARRAY_LEN(settings)], *near;

        for (size_t i = 0; i < TS_ARRAY_LEN(settings); i++) {
                keys[i] = settings[i].key;
                if (strcmp(key, keys[i]) == 0)
                        return (int)i;
        }
        near = ts_nearest(key, keys, TS_ARRAY_LEN(keys));
        ts_err_set(err, TS_EUSAGE, "unknown key '%.80s'", key);
        if (near)
                return ts_err_hint(err, "did you mean '%s'?", near);
        return ts_err_hint(err, "`tranship config` lists the keys");
}

/* ---- values ---- */

void ts_value_clear(struct ts_value *v)
{
        free(v->text);
        ts_list_clear(&v->list);
        *v = (struct ts_value)TS_VALUE_INIT;
}
static void value_move(struct ts_value *to, struct ts_value *from)
{
        *to = *from;
        *from = (struct ts_value)TS_VALUE_INIT;
}
#define auto_value __attribute__((cleanup(ts_value_clear))) struct ts_value

/* A choice that takes a directory is written "word:DIR". */
static bool is_choice(const char *text, const char *choice)
{
        const char *colon = strchr(choice, ':');

        return colon ? !strncmp(text, choice, (size_t)(colon + 1 - choice)) && text[colon + 1 - choice] == '/' : !strcmp(text, choice);
}

static int find_choice(const char *text, const char *const *choices, uint64_t *ret, struct ts_err *err)
{
        ts_auto_str all = TS_STR_INIT;
        const char *near;
        size_t n;

        for (n = 0; choices[n]; n++) {
                if (is_choice(text, choices[n])) {
                        *ret = n;
                        return 0;
                }
                if (ts_str_addf(&all, err, "%s%s", n ? ", " : "", choices[n]) < 0)
                        return -1;
        }
        near = *text ? ts_nearest(text, choices, n) : NULL;
        ts_err_set(err, TS_EUSAGE, "'%.80s' is not one of %s", text, ts_str_cstr(&all));
        return near ? ts_err_hint(err, "did you mean '%s'?", near) : -1;
}

/* "90s", "10m", "1500ms", "0": the largest unit that leaves no rest. NULL out of memory. */
static char *duration_text(uint64_t ms)
{
        static const struct {
                uint64_t ms;
                const char *unit;
        } units[] = { { HOUR, "h" }, { MINUTE, "m" }, { SECOND, "s" }, { 1, "ms" } };
        size_t u = 0;

        if (ms == 0)
                return strdup("0");
        while (ms % units[u].ms != 0)
                u++;
        return ts_fmt("%llu%s", (unsigned long long)(ms / units[u].ms), units[u].unit);
}

static int parse_duration(const struct ts_setting *s, const char *text, struct ts_value *v, struct ts_err *err)
{
        unsigned long long ms;

        if (ts_parse_duration_ms(text, &ms, err) < 0)
                return -1;
        if ((ms < s->min && !(ms == 0 && s->or_zero)) || ms > s->max) {
                ts_auto_free char *min = duration_text(s->min), *max = duration_text(s->max);

                return ts_err_set(err, TS_EUSAGE, "'%s' is not %sbetween %s and %s", text, s->or_zero ? "0 or " : "", ts_or(min, "?"), ts_or(max, "?"));
        }
        v->number = ms;
        v->text = duration_text(ms);
        return v->text ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static char *size_text(uint64_t bytes)
{
        static const char units[] = "KMG";
        size_t u = 0;

        if (bytes % 1024 || bytes == 0)
                return ts_fmt("%llu", (unsigned long long)bytes);
        for (bytes /= 1024; bytes % 1024 == 0 && u < 2; bytes /= 1024)
                u++;
        return ts_fmt("%llu%c", (unsigned long long)bytes, units[u]);
}

static int parse_size(const struct ts_setting *s, const char *text, struct ts_value *v, struct ts_err *err)
{
        static const char units[] = "KMG";
        char *end = NULL;
        double n = text[0] >= '0' && text[0] <= '9' ? strtod(text, &end) : -1;
        const char *unit = end && *end ? strchr(units, *end) : NULL;

        for (size_t i = 0; unit && i <= (size_t)(unit - units); i++)
                n *= 1024;
        if (n < 0 || !end || (*end && (!unit || end[1])) || strpbrk(text, "xXeE") || (n > 0 && n < 1))
                return ts_err_set(err, TS_EUSAGE, "'%.40s' is not a size: 500K, 100M, 1.5G", text);
        if (n < (double)s->min || n > (double)s->max) {
                ts_auto_free char *min = size_text(s->min), *max = size_text(s->max);

                return ts_err_set(err, TS_EUSAGE, "'%s' is not between %s and %s", text, ts_or(min, "?"), ts_or(max, "?"));
        }
        v->number = (uint64_t)n;
        v->text = size_text(v->number);
        return v->text ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_parse_ports(const char *text, unsigned *ret_low, unsigned *ret_high)
{
        size_t len = strcspn(text, "-");
        unsigned long long low = 0, high = 0;
        char first[8];

        if (len >= sizeof(first))
                return -1;
        memcpy(first, text, len);
        first[len] = '\0';
        if (ts_parse_u64(first, 1, UINT16_MAX, &low, NULL) < 0 ||
            ts_parse_u64(text[len] ? text + len + 1 : text, low, UINT16_MAX, &high, NULL) < 0)
                return -1;
        *ret_low = (unsigned)low;
        *ret_high = (unsigned)high;
        return 0;
}

static int bad_form(const char *text, const struct ts_setting *s, struct ts_err *err)
{
        ts_auto_str all = TS_STR_INIT;

        for (size_t i = 0; s->choices && s->choices[i]; i++)
                (void)ts_str_addf(&all, NULL, "%s%s", i ? " or " : "; the last word is ", s->choices[i]);
        return ts_err_set(err, TS_EUSAGE, "'%.200s' is not of the form %s%s", text, s->arg, ts_str_cstr(&all));
}

static int check_form(const struct ts_setting *s, const char *text, struct ts_err *err)
{
        bool paired = s->form == TS_FORM_NAME_CHOICE || s->form == TS_FORM_PATH_CHOICE;
        bool path = s->form == TS_FORM_PATH || s->form == TS_FORM_PATH_CHOICE;
        const char *equals = paired ? strrchr(text, '=') : NULL;
        ts_auto_free char *word = strndup(text, equals ? (size_t)(equals - text) : strlen(text));
        uint64_t choice;

        if (!word)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (paired && (!equals || equals == text))
                return bad_form(text, s, err);
        if (equals && find_choice(equals + 1, s->choices, &choice, err) < 0)
                return ts_err_prefix(err, "'%.80s'", word);
        if (s->form == TS_FORM_PORTS && ts_parse_ports(text, &(unsigned){ 0 }, &(unsigned){ 0 }) < 0)
                return ts_err_set(err, TS_EUSAGE, "'%.80s' are no ports: 49152-49215, or one", word);
        if (path && word[0] != '/')
                return ts_err_set(err, TS_EUSAGE, "'%.200s' is not an absolute path", word);
        if ((s->form == TS_FORM_WORD || s->form == TS_FORM_NAME_CHOICE) && !ts_name_valid(word, 255))
                return ts_err_set(err, TS_EUSAGE, "'%.80s' is not a name", word);
        return 0;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

/* The item at *p, unescaped and trimmed; *p is moved behind its comma, or to the end. */
static int next_item(const char **p, struct ts_str *item, struct ts_err *err)
{
        size_t keep = 0; /* bytes that the trimming must leave: those up to the last one that is not a bare blank */

        while (is_blank(**p))
                (*p)++;
        for (; **p && **p != ','; (*p)++) {
                if (**p == '\\' && ((*p)[1] == ',' || (*p)[1] == '\\'))
                        (*p)++;
                if (ts_str_add(item, *p, 1, err) < 0)
                        return -1;
                if (!is_blank(**p))
                        keep = item->len;
        }
        if (**p == ',')
                (*p)++;
        item->len = keep;
        if (item->buf)
                item->buf[keep] = '\0';
        return 0;
}

static int list_text(const struct ts_list *l, char **ret, struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT;

        for (size_t i = 0; i < l->n; i++) {
                if (i > 0 && ts_str_adds(&s, ", ", err) < 0)
                        return -1;
                for (const char *p = l->v[i]; *p; p++) {
                        if ((*p == ',' || *p == '\\') && ts_str_adds(&s, "\\", err) < 0)
                                return -1;
                        if (ts_str_add(&s, p, 1, err) < 0)
                                return -1;
                }
        }
        *ret = ts_str_take(&s);
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int parse_list(const struct ts_setting *s, const char *text, struct ts_value *v, struct ts_err *err)
{
        while (*text) {
                ts_auto_str item = TS_STR_INIT;

                if (next_item(&text, &item, err) < 0)
                        return -1;
                if (item.len == 0) /* "a,,b" and a comma at the end are no harm */
                        continue;
                if (v->list.n >= TS_CONF_ITEMS_MAX)
                        return ts_err_set(err, TS_ELIMIT, "more than %d items", TS_CONF_ITEMS_MAX);
                if (check_form(s, item.buf, err) < 0 || ts_list_add(&v->list, item.buf, err) < 0)
                        return -1;
        }
        return list_text(&v->list, &v->text, err);
}

static int parse_text(const struct ts_setting *s, const char *text, struct ts_value *v, struct ts_err *err)
{
        ts_auto_free char *home = NULL;

        if (*text && check_form(s, text, err) < 0)
                return -1;
        if (s->form == TS_FORM_FILE && ts_starts(text, "~/")) { /* no shell has seen what stands in a file */
                home = ts_user_home();
                if (!home)
                        return ts_err_set(err, TS_EUSAGE, "'%.200s': the home directory is not known", text);
        }
        v->text = home ? ts_fmt("%s%s", home, text + 1) : strdup(text);
        return v->text ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int parse_choice(const char *const *choices, const char *text, struct ts_value *v, struct ts_err *err)
{
        if (find_choice(text, choices, &v->number, err) < 0)
                return -1;
        if (choices == bool_choices)
                v->number %= 2;
        v->text = strdup(choices == bool_choices ? choices[v->number] : text);
        return v->text ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int check_text(const char *text, struct ts_err *err)
{
        if (strlen(text) > TS_CONF_VALUE_MAX)
                return ts_err_set(err, TS_ELIMIT, "a value longer than %d bytes", TS_CONF_VALUE_MAX);
        for (const char *p = text; *p; p++)
                if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
                        return ts_err_set(err, TS_EUSAGE, "'%.80s' holds a control character", text);
        return 0;
}

int ts_value_parse(const struct ts_setting *s, const char *text, struct ts_value *ret, struct ts_err *err)
{
        auto_value v = TS_VALUE_INIT;
        int rc = -1;

        if (check_text(text, err) < 0)
                return -1;
        switch (s->type) {
        case TS_SET_STRING:
                rc = parse_text(s, text, &v, err);
                break;
        case TS_SET_BOOL:
                rc = parse_choice(bool_choices, text, &v, err);
                break;
        case TS_SET_DURATION_MS:
                rc = parse_duration(s, text, &v, err);
                break;
        case TS_SET_SIZE:
                rc = parse_size(s, text, &v, err);
                break;
        case TS_SET_ENUM:
                rc = parse_choice(s->choices, text, &v, err);
                break;
        case TS_SET_LIST:
                rc = parse_list(s, text, &v, err);
                break;
        }
        if (rc < 0)
                return -1;
        value_move(ret, &v);
        return 0;
}

int ts_value_append(struct ts_value *v, const struct ts_value *more, struct ts_err *err)
{
        auto_value sum = TS_VALUE_INIT;
        const struct ts_list *parts[] = { &v->list, &more->list };

        if (v->list.n + more->list.n > TS_CONF_ITEMS_MAX)
                return ts_err_set(err, TS_ELIMIT, "more than %d items", TS_CONF_ITEMS_MAX);
        for (size_t k = 0; k < TS_ARRAY_LEN(parts); k++)
                for (size_t i = 0; i < parts[k]->n; i++)
                        if (ts_list_add(&sum.list, parts[k]->v[i], err) < 0)
                                return -1;
        if (list_text(&sum.list, &sum.text, err) < 0)
                return -1;
        ts_value_clear(v);
        value_move(v, &sum);
        return 0;
}
