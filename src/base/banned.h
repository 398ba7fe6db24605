/* SPDX-License-Identifier: MIT */
#pragma once

/* Force-included into every file: functions that cannot be used safely do not compile. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gmtime localtime atoi atol rand srand
