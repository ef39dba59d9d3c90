/* ical_door.c - libical, loaded when it is needed. */
#include "ical_door.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define LIBRARY "libical.so.3"

static struct ical_library functions;
static bool loaded;

enum code ical_load(struct err *err)
{
	static const char *const names[] = {
#define X(name) #name,
		ICAL_LIST(X)
#undef X
	};
	void *found[ARRAY_LEN(names)];

	if (loaded)
		return E_OK;
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return err_set(err, E_UNSUPPORTED, LIBRARY " cannot be loaded; install libical3: %s", dlerror());
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		found[i] = dlsym(library, names[i]);
		if (found[i] == NULL)
			return err_set(err, E_UNSUPPORTED, LIBRARY " has no %s; install libical3 3.0", names[i]);
	}
	_Static_assert(sizeof(found) == sizeof(functions), "one pointer per function");
	memcpy(&functions, found, sizeof(found));
	loaded = true;
	return E_OK;
}

const struct ical_library *ical(void)
{
	struct err err = ERR_INIT;

	if (!loaded && ical_load(&err) != E_OK) {
		fprintf(stderr, "%s\n", err_text(&err));
		abort();
	}
	return &functions;
}
