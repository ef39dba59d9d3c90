/* conf_case.h - a directory with a valid configuration and its secrets, changed by a test. */
#ifndef CONF_CASE_H
#define CONF_CASE_H

#include "../../common/conf.h"

/* The valid file, 43 lines; tests name its line numbers. */
extern const char case_valid[];

struct conf_case {
	char dir[64];
	char file[96];           /* dir/m.xml */
	char warnings[2048];     /* what the last load warned about, each with a newline */
	struct err err;
	struct conf *conf;
};
void case_begin(struct conf_case *c);
void case_end(struct conf_case *c);
void case_put(struct conf_case *c, const char *name, const char *text, size_t n, unsigned mode);
/* The valid file with the first `old` replaced by `new` as m.xml. */
void case_write(struct conf_case *c, const char *old, const char *new_text);
enum code case_load(struct conf_case *c);     /* frees the one before */
/* Exit status of `xmllint --schema config/mailshadow.xsd` on the file: 0 valid, 3 not valid. */
int case_xmllint(const char *file);

#endif
