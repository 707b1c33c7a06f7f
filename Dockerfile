# The API and the indexing job in one image: CPU torch, no root, models in a volume.
FROM python:3.11-slim

# The CPU build of torch is a tenth of the one with CUDA. Leave TORCH out (`--build-arg WITH_TORCH=`) for an image
# with the ONNX backend alone.
ARG WITH_TORCH=1
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

RUN useradd --create-home --uid 10001 bothways && mkdir /cache && chown bothways:bothways /cache
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY indexer indexer
COPY search search
COPY evaluation evaluation
COPY learning learning
COPY kibana kibana
COPY api api
COPY cli cli
COPY bothways bothways
COPY es_mappings es_mappings
RUN if [ -n "$WITH_TORCH" ]; then \
        pip install --no-cache-dir torch --index-url "$TORCH_INDEX" && pip install --no-cache-dir ".[torch]"; \
    else \
        pip install --no-cache-dir .; \
    fi

# A new volume mounted here begins with these rules; Elasticsearch reads them from the same volume.
RUN install -d -o bothways -g bothways /synonyms && \
    install -o bothways -g bothways -m 644 es_mappings/synonyms.txt /synonyms/bothways_synonyms.txt

USER bothways
ENV BOTHWAYS_CACHE_DIR=/cache BOTHWAYS_HOST=0.0.0.0 PYTHONUNBUFFERED=1
VOLUME /cache
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import httpx; httpx.get('http://127.0.0.1:8000/health/live').raise_for_status()"]
ENTRYPOINT ["bothways"]
CMD ["serve"]
