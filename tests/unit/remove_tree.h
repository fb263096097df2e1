/* What a test made below a directory of its own goes, with the directory. */
#ifndef TRANSHIP_TESTS_UNIT_REMOVE_TREE_H
#define TRANSHIP_TESTS_UNIT_REMOVE_TREE_H

#include <ftw.h>
#include <stdio.h>

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
        (void)st;
        (void)type;
        (void)where;
        return remove(path);
}

/* 0, or not: errno. */
static inline int remove_tree(const char *top)
{
        return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
