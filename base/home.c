/* See io.h: whose set-up counts. A file of its own, since a static program had better not have the password database in it. */
#include "base/io.h"
#include "base/mem.h"

#include <pwd.h>
#include <string.h>

static char *home_of(uid_t uid)
{
        struct passwd entry, *found = NULL;
        ts_auto_free char *buf = malloc(16384);

        if (!buf || getpwuid_r(uid, &entry, buf, 16384, &found) != 0 || !found || !entry.pw_dir || entry.pw_dir[0] != '/')
                return NULL;
        return strdup(entry.pw_dir);
}

char *ts_user_home(void)
{
        const char *sudo_uid = getenv("SUDO_UID"), *home;
        unsigned long long uid;
        char *found;

        /* Only root believes SUDO_UID: for anybody else it is a left-over of the environment. */
        if (geteuid() == 0 && sudo_uid && ts_parse_u64(sudo_uid, 0, UINT32_MAX - 1, &uid, NULL) == 0)
                return home_of((uid_t)uid);
        found = home_of(getuid());
        if (found)
                return found;
        home = getenv("HOME"); /* users without an entry, as in containers */
        return home && home[0] == '/' ? strdup(home) : NULL;
}

char *ts_state_dir(void)
{
        const char *named = getenv("TRANSHIP_STATE_DIR"), *xdg = getenv("XDG_STATE_HOME");
        ts_auto_free char *home = NULL;

        if (named && *named)
                return strdup(named);
        if (geteuid() == 0)
                return strdup("/var/lib/tranship");
        if (xdg && xdg[0] == '/')
                return ts_fmt("%s/tranship", xdg);
        home = ts_user_home();
        return home ? ts_fmt("%s/.local/state/tranship", home) : NULL;
}
