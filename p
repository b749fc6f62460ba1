TRACE pool 16 403 next 12 workers 1 at 617
TRACE pool 8 170 next 2 workers 1 at 1034
TRACE equalize-trial 194 at 1034
TRACE pool 8 181 next 2 workers 1 at 1046
TRACE equalize-trial 189 at 1046
TRACE pool 8 139 next 1 workers 1 at 1208
TRACE equalize-trial 145 at 1208
TRACE pool 8 171 next 2 workers 1 at 1240
TRACE equalize-trial 183 at 1240
equalize: 1182.0 ms, 1 round(s); it changes weights and what is measured, so before weights are rounded, and ranges and moments recorded
TRACE pool 16 481 next 14 workers 1 at 1820
record: 569.3 ms, 1 round(s); ranges of activations come from samples
TRACE pool 8 86 next 1 workers 1 at 1921
TRACE errorsOfModel 89 at 1921
TRACE pool 51 492 next 68 workers 2 at 2424
TRACE round 492 at 2424
TRACE pool 8 105 next 2 workers 1 at 2596
TRACE errorsOfModel 107 at 2596
TRACE quantized 41 at 2638
TRACE walk 630 at 3272
TRACE pool 8 632 next 5 workers 1 at 3273
TRACE errorsOfModel 635 at 3273
TRACE quantized 14 at 3289
TRACE quantized 15 at 3305
TRACE pool 4 95 next 0 workers 1 at 3411
TRACE errorsOfModel 100 at 3412
TRACE pool 4 126 next 1 workers 1 at 3442
TRACE errorsOfModel 131 at 3443
TRACE quantized 35 at 3479
TRACE quantized 12 at 3492
TRACE pool 4 92 next 10 workers 1 at 3594
TRACE errorsOfModel 98 at 3594
TRACE pool 4 98 next 0 workers 1 at 3600
TRACE errorsOfModel 103 at 3600
correct layers: 1778.4 ms, 1 round(s); rounding and biases that keep the results of layers, now that it is known what they read
write: 61.9 ms, 1 round(s); weights are encoded on their way into the file
