# The API and the jobs in one image: no root, models in a volume.
FROM python:3.11-slim

# The models run in ONNX Runtime. `--build-arg WITH_TORCH=torch` adds the torch backend and local language models,
# `WITH_TORCH=train` what rerankers and encoders are trained with. The CPU build of torch is a tenth of the one with CUDA.
ARG WITH_TORCH=
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

RUN useradd --create-home --uid 10001 bothways && mkdir /cache && chown bothways:bothways /cache
WORKDIR /app

# The dependencies alone, with an empty package in the place of ours: a change of the source installs none of them anew.
COPY pyproject.toml ./
RUN touch README.md LICENSE && \
    mkdir bothways && echo '__version__ = "0"' > bothways/__init__.py && \
    if [ -n "$WITH_TORCH" ]; then pip install --no-cache-dir torch --index-url "$TORCH_INDEX"; fi && \
    pip install --no-cache-dir ".[server${WITH_TORCH:+,$WITH_TORCH}]"

COPY README.md LICENSE ./
COPY bothways bothways
COPY indexer indexer
COPY api api
COPY es_mappings es_mappings
RUN pip install --no-cache-dir --no-deps .

# A new volume mounted here begins with these rules; Elasticsearch reads them from the same volume.
RUN install -d -o bothways -g bothways /synonyms && \
    install -o bothways -g bothways -m 644 es_mappings/synonyms.txt /synonyms/bothways_synonyms.txt

USER bothways
ENV BOTHWAYS_CACHE_DIR=/cache BOTHWAYS_HOST=0.0.0.0 PYTHONUNBUFFERED=1
VOLUME /cache
EXPOSE 8000
ENTRYPOINT ["bothways"]
CMD ["serve"]
